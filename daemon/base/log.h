/* log: key=value lines (or JSON) on standard error, rate-limited per call site, never payloads or identities.
 * No file of the hot path logs. Threads: any; one write(2) a line. */
#ifndef VIGIE_BASE_LOG_H
#define VIGIE_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Process-wide, before the first thread starts and at reload. */
void log_configure(enum log_level level, enum log_format format);

struct log_site {
    long window_s; /* second in which `count` lines were written; racy on purpose, it only limits */
    unsigned count, suppressed;
};

/* At most ten lines a second and call site; what was left out is counted in the next line.
 * log_write(LOG_ERROR, "journal", "cannot sync segment path=%s error=%s hint=...", ...) */
#define log_write(level, area, ...)                                                                          \
    do {                                                                                                     \
        static struct log_site log_site_;                                                                    \
        log_emit(&log_site_, (level), (area), __VA_ARGS__);                                                  \
    } while (0)

void log_emit(struct log_site *site, enum log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
