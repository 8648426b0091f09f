/* library_memory: OpenSSL, libuv and jansson take their memory from the slab of the calling thread, so that a
 * connection's handshake, a watcher or a command's JSON allocates nothing from the system on loops and
 * shards; on threads without a slab it is malloc() as ever. libpq and librdkafka keep their own. Threads:
 * main alone, before any other thread and before the first call into these libraries. Fails:   a library that
 * has allocated already is ensure(): the order of main() is wrong. */
#ifndef VIGIE_BASE_LIBRARY_MEMORY_H
#define VIGIE_BASE_LIBRARY_MEMORY_H

void library_memory_use_slabs(void);

#endif
