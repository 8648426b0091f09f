/* bench: the measurements of vigie-bench, one function a command; argv[0] is the command. Returns the exit
 * status. */
#ifndef VIGIE_BENCH_BENCH_H
#define VIGIE_BENCH_BENCH_H

int bench_ingest(int argc, char **argv);
int bench_journal(int argc, char **argv);
int bench_slow(int argc, char **argv);
int bench_restart(int argc, char **argv);
int bench_decode(int argc, char **argv);
int bench_decide(int argc, char **argv);

#endif
