/* vigie-bench: load and measurements; figures are ratios of one run on one machine, never promises. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"slow", "honest senders beside thousands that dribble, or a flood of handshakes: latency, memory",
     bench_slow},
    {"ingest", "load a running vigied over HTTPS; readings/s acknowledged, latency", bench_ingest},
    {"journal", "cost of the cipher a reading, turns with and without it", bench_journal},
    {"decode", "readings decoded and admitted a second on one core: CBOR, JSON, FHIR, HL7", bench_decode},
    {"decide", "readings decided a second on one core, beside touching the same memory; bytes", bench_decide},
    {"restart", "time and memory of a start by journal and by snapshot", bench_restart},
};

static void print_help(FILE *to)
{
    fputs("vigie-bench COMMAND [OPTIONS]: measure a Vigie; each command has --help\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n`make bench` runs the whole measurement with servers of its own and writes bench/RESULTS.md's "
          "figures.\n",
          to);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return 0;
    }
    fprintf(stderr, "vigie-bench: unknown command, found %s, expected one of those below\n\n",
            argc > 1 ? argv[1] : "none");
    print_help(stderr);
    return 64;
}
