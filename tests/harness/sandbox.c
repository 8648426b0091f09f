/* sandbox: runs a program as systemd would run it with the unit file named, where systemd is not PID 1.
 *
 *   sandbox UNIT [--rw DIRECTORY] [--ro PATH] [--exec PATH] [--no-seccomp] -- PROGRAM ARGUMENTS
 *
 * It reads the [Service] section and applies what a kernel can apply without systemd: file systems (a mount
 * namespace that is read-only, without /home, /tmp and devices, nothing executable but what ExecPaths says),
 * the user namespace, capabilities, limits, and as seccomp filters what systemd makes of SystemCallFilter,
 * SystemCallArchitectures, MemoryDenyWriteExecute, RestrictAddressFamilies, RestrictNamespaces,
 * RestrictRealtime, RestrictSUIDSGID and LockPersonality. A key that it does not know ends it with 70: a line
 * of the unit that no test runs under must be named in the table below. --rw stands for StateDirectory,
 * --exec for the program of ExecStart, --ro for what tests have outside /usr and /etc. The user stays that of
 * the caller, without its capabilities. 71: the machine cannot. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EXIT_SOFTWARE = 70, EXIT_MACHINE = 71, KEPT_MAX = 32, VALUES_MAX = 64, SYSCALLS_MAX = 1024 };

static void end(int status, const char *format, ...)
{
    va_list arguments;
    int error = errno;
    va_start(arguments, format);
    fputs("sandbox: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (%s)\n", strerror(error));
    va_end(arguments);
    _exit(status);
}

/* What the machine must be able to do. */
#define must(condition, ...)                                                                                 \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            end(EXIT_MACHINE, __VA_ARGS__);                                                                  \
    } while (0)

/* ---- the unit ---- */

struct kept {
    const char *path;
    bool writes, executes;
    int tree; /* of open_tree() */
};

static struct {
    struct kept kept[KEPT_MAX];
    unsigned kept_count;
    const char *filters[VALUES_MAX];
    unsigned filters_count;
    const char *families, *umask_text, *files_text, *core_text;
    bool strict_system, no_home, private_tmp, private_devices, private_users, no_exec, proc_invisible,
        proc_pid;
    bool native, no_write_execute, no_namespaces, no_realtime, no_suid, no_personality, no_new_privileges,
        no_capability;
    bool hostname, clock, modules, tunables;
    bool seccomp;
} unit = {.seccomp = true};

static void keep(const char *path, bool writes, bool executes)
{
    if (unit.kept_count == KEPT_MAX)
        end(EXIT_SOFTWARE, "too many paths at %s", path);
    unit.kept[unit.kept_count++] = (struct kept){path, writes, executes, -1};
}

static void take_exec_paths(char *value)
{
    for (char *rest = value, *path; (path = strsep(&rest, " ")) != NULL;)
        if (strcmp(path, "/usr/bin/vigied") != 0 && *path != '\0') /* --exec stands for it */
            keep(path, false, true);
}

static void take_no_exec_paths(char *value)
{
    unit.no_exec = strcmp(value, "/") == 0;
}

static void take_system(char *value)
{
    unit.strict_system = strcmp(value, "strict") == 0;
}

static void take_proc(char *value)
{
    unit.proc_invisible = strcmp(value, "invisible") == 0;
}

static void take_proc_subset(char *value)
{
    unit.proc_pid = strcmp(value, "pid") == 0;
}

static void take_filter(char *value)
{
    if (unit.filters_count == VALUES_MAX)
        end(EXIT_SOFTWARE, "too many filters");
    unit.filters[unit.filters_count++] = value;
}

static void take_native(char *value)
{
    unit.native = strcmp(value, "native") == 0;
}

static void take_bounding(char *value)
{
    unit.no_capability = *value == '\0';
}

static void take_errno(char *value)
{
    if (strcmp(value, "EPERM") != 0)
        end(EXIT_SOFTWARE, "SystemCallErrorNumber=%s is not known here", value);
}

/* Rows: a flag, a text, or a function. `elsewhere`: systemd does it and no test can tell, or the caller does
 * it. */
static const struct row {
    const char *key;
    bool *flag;
    const char **text;
    void (*take)(char *value);
} rows[] = {
    {"UMask", NULL, &unit.umask_text, NULL},
    {"LimitNOFILE", NULL, &unit.files_text, NULL},
    {"LimitCORE", NULL, &unit.core_text, NULL},
    {"CapabilityBoundingSet", NULL, NULL, take_bounding},
    {"NoNewPrivileges", &unit.no_new_privileges, NULL, NULL},
    {"ProtectSystem", NULL, NULL, take_system},
    {"ProtectHome", &unit.no_home, NULL, NULL},
    {"PrivateTmp", &unit.private_tmp, NULL, NULL},
    {"PrivateDevices", &unit.private_devices, NULL, NULL},
    {"PrivateUsers", &unit.private_users, NULL, NULL},
    {"NoExecPaths", NULL, NULL, take_no_exec_paths},
    {"ExecPaths", NULL, NULL, take_exec_paths},
    {"ProtectProc", NULL, NULL, take_proc},
    {"ProcSubset", NULL, NULL, take_proc_subset},
    {"ProtectKernelTunables", &unit.tunables, NULL, NULL}, /* all of /proc and /sys is read-only here */
    {"ProtectClock", &unit.clock, NULL, NULL},             /* without CAP_SYS_TIME no call sets it */
    {"ProtectKernelModules", &unit.modules, NULL, NULL},   /* likewise */
    {"ProtectHostname", &unit.hostname, NULL, NULL},       /* likewise */
    {"RestrictAddressFamilies", NULL, &unit.families, NULL},
    {"RestrictNamespaces", &unit.no_namespaces, NULL, NULL},
    {"RestrictRealtime", &unit.no_realtime, NULL, NULL},
    {"RestrictSUIDSGID", &unit.no_suid, NULL, NULL},
    {"LockPersonality", &unit.no_personality, NULL, NULL},
    {"MemoryDenyWriteExecute", &unit.no_write_execute, NULL, NULL},
    {"SystemCallArchitectures", NULL, NULL, take_native},
    {"SystemCallFilter", NULL, NULL, take_filter},
    {"SystemCallErrorNumber", NULL, NULL, take_errno},
};

static const char *const elsewhere[] = {
    "Type",
    "Environment", /* of the test */
    "NotifyAccess",
    "WatchdogSec",
    "ExecStart",
    "ExecReload",
    "LoadCredential",
    "Restart",
    "RestartSec",
    "RestartPreventExitStatus",
    "TimeoutStopSec",
    "TimeoutStartSec",
    "User",
    "Group",
    "StateDirectory",
    "StateDirectoryMode",
    "OOMScoreAdjust",
    "AmbientCapabilities",
    "PrivateMounts",
    "ProtectControlGroups",
    "ProtectKernelLogs",
    "RemoveIPC",
    "KeyringMode",
};

static bool is_elsewhere(const char *key)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(elsewhere[i], key) == 0)
            return true;
    return false;
}

static void take_line(const char *key, char *value)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].key, key) != 0)
            continue;
        if (rows[i].flag != NULL)
            *rows[i].flag = strcmp(value, "yes") == 0;
        else if (rows[i].text != NULL)
            *rows[i].text = value;
        else
            rows[i].take(value);
        return;
    }
    if (!is_elsewhere(key))
        end(EXIT_SOFTWARE, "%s= of the unit is not known here: apply it, or name it as done elsewhere", key);
}

static void read_unit(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[4096], section[64] = "";
    must(file != NULL, "%s", path);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '[')
            snprintf(section, sizeof section, "%.60s", line);
        char *equals = strchr(line, '=');
        if (line[0] == '#' || line[0] == ';' || equals == NULL || strcmp(section, "[Service]") != 0)
            continue;
        *equals = '\0';
        take_line(line, strdup(equals + 1));
    }
    fclose(file);
}

/* ---- file systems ---- */

static void make_path(const char *path, bool directory)
{
    char part[PATH_MAX];
    for (const char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)(at - path), path);
        mkdir(part, 0755);
    }
    if (directory)
        mkdir(path, 0755);
    else
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static void set_attributes(int tree, const char *path, uint64_t set, uint64_t clear, unsigned flags)
{
    struct mount_attr attributes = {.attr_set = set, .attr_clr = clear};
    must(syscall(SYS_mount_setattr, tree, path, AT_EMPTY_PATH | flags, &attributes, sizeof attributes) == 0,
         "mount_setattr %s", path);
}

static void clone_kept(void)
{
    for (unsigned i = 0; i < unit.kept_count; i++) {
        struct kept *kept = &unit.kept[i];
        kept->tree = (int)syscall(SYS_open_tree, AT_FDCWD, kept->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        must(kept->tree >= 0, "open_tree %s", kept->path);
        set_attributes(kept->tree, "", kept->writes ? 0 : MOUNT_ATTR_RDONLY,
                       kept->writes ? MOUNT_ATTR_RDONLY : 0, 0);
        set_attributes(kept->tree, "", kept->executes || !unit.no_exec ? 0 : MOUNT_ATTR_NOEXEC,
                       kept->executes ? MOUNT_ATTR_NOEXEC : 0, 0);
    }
}

static void put_kept(void)
{
    struct stat status;
    for (unsigned i = 0; i < unit.kept_count; i++) {
        struct kept *kept = &unit.kept[i];
        must(fstat(kept->tree, &status) == 0, "%s", kept->path);
        if (access(kept->path, F_OK) != 0)
            make_path(kept->path, S_ISDIR(status.st_mode));
        must(syscall(SYS_move_mount, kept->tree, "", AT_FDCWD, kept->path, MOVE_MOUNT_F_EMPTY_PATH) == 0,
             "move_mount %s", kept->path);
        close(kept->tree);
    }
}

static int new_tmpfs(const char *mode)
{
    int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    must(context >= 0 && syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", mode, 0) == 0 &&
             syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0,
         "tmpfs");
    int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    must(mount >= 0, "fsmount");
    close(context);
    return mount;
}

static void cover(const char *path, const char *mode)
{
    int mount = new_tmpfs(mode);
    if (access(path, F_OK) == 0)
        must(syscall(SYS_move_mount, mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0, "tmpfs on %s",
             path);
    close(mount);
}

static void private_devices(void)
{
    static const char *const names[] = {"null", "zero", "full", "random", "urandom", "tty"};
    int mount = new_tmpfs("0755"), nodes[sizeof names / sizeof names[0]];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "/dev/%s", names[i]);
        nodes[i] = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        must(nodes[i] >= 0, "open_tree %s", path);
        close(openat(mount, names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        must(syscall(SYS_move_mount, nodes[i], "", mount, names[i], MOVE_MOUNT_F_EMPTY_PATH) == 0,
             "device %s", path);
    }
    set_attributes(mount, "", MOUNT_ATTR_RDONLY, 0, 0);
    must(syscall(SYS_move_mount, mount, "", AT_FDCWD, "/dev", MOVE_MOUNT_F_EMPTY_PATH) == 0, "/dev");
    close(mount);
}

static void private_proc(void)
{
    int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
    must(context >= 0, "proc");
    if (unit.proc_invisible)
        must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "hidepid", "invisible", 0) == 0, "hidepid");
    if (unit.proc_pid)
        must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "subset", "pid", 0) == 0, "subset");
    must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0, "proc");
    int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    must(mount >= 0 && syscall(SYS_move_mount, mount, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) == 0,
         "/proc");
    close(mount);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
    close(fd);
}

/* Only we ourselves have a name in it, as with PrivateUsers=: everybody else is nobody. */
static void enter_users(int flags)
{
    char map[64];
    unsigned uid = getuid(), gid = getgid();
    must(unshare(CLONE_NEWUSER | flags) == 0, "user namespace");
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1\n", uid, uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1\n", gid, gid);
    write_text("/proc/self/gid_map", map);
}

static void apply_file_systems(void)
{
    if (geteuid() == 0)
        must(unshare(CLONE_NEWNS) == 0, "mount namespace");
    else
        enter_users(CLONE_NEWNS);
    struct mount_attr private = {.propagation = 1 << 18 /* MS_PRIVATE */};
    must(syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private) == 0,
         "private mounts");
    clone_kept();
    if (unit.strict_system)
        set_attributes(AT_FDCWD, "/", MOUNT_ATTR_RDONLY | (unit.no_exec ? MOUNT_ATTR_NOEXEC : 0), 0,
                       AT_RECURSIVE);
    if (unit.private_devices)
        private_devices();
    if (geteuid() == 0 && (unit.proc_invisible || unit.proc_pid))
        private_proc();
    if (unit.no_home) {
        cover("/home", "000");
        cover("/root", "000");
        cover("/run/user", "000");
    }
    if (unit.private_tmp) {
        cover("/tmp", "1777");
        cover("/var/tmp", "1777");
    }
    put_kept();
}

/* ---- capabilities and limits ---- */

static void set_limit(int resource, const char *text)
{
    struct rlimit limit, now;
    if (text == NULL)
        return;
    limit.rlim_cur = limit.rlim_max = strtoul(text, NULL, 10);
    must(getrlimit(resource, &now) == 0, "getrlimit");
    if (limit.rlim_max > now.rlim_max) /* raising takes a capability that few containers have */
        limit.rlim_cur = limit.rlim_max = now.rlim_max;
    must(setrlimit(resource, &limit) == 0, "setrlimit %s", text);
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        must(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, "capability %d", capability);
    must(syscall(SYS_capset, &header, none) == 0, "capset");
}

/* ---- system calls ---- */

static scmp_filter_ctx new_filter(uint32_t action)
{
    scmp_filter_ctx filter = seccomp_init(action);
    if (filter == NULL || seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) != 0)
        end(EXIT_SOFTWARE, "seccomp");
    return filter;
}

static void load(scmp_filter_ctx filter)
{
    errno = -seccomp_load(filter);
    must(errno == 0, "seccomp_load");
    seccomp_release(filter);
}

static void deny(scmp_filter_ctx filter, int error, int call, unsigned count,
                 const struct scmp_arg_cmp *arguments)
{
    errno = -seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint16_t)error), call, count, arguments);
    must(errno == 0, "rule of call %d", call);
}

static struct scmp_arg_cmp has_bits(unsigned argument, uint64_t bits)
{
    return SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, bits, bits);
}

static void restrict_memory(void)
{
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW);
    const struct scmp_arg_cmp both = has_bits(2, PROT_WRITE | PROT_EXEC), execute = has_bits(2, PROT_EXEC);
    const struct scmp_arg_cmp attach = has_bits(2, SHM_EXEC);
    deny(filter, EPERM, SCMP_SYS(mmap), 1, &both);
    deny(filter, EPERM, SCMP_SYS(mprotect), 1, &execute);
    deny(filter, EPERM, SCMP_SYS(pkey_mprotect), 1, &execute);
    deny(filter, EPERM, SCMP_SYS(shmat), 1, &attach);
    load(filter);
}

static void restrict_families(const char *list)
{
    static const struct {
        const char *name;
        int family;
    } known[] = {
        {"AF_UNIX", AF_UNIX}, {"AF_INET", AF_INET}, {"AF_INET6", AF_INET6}, {"AF_NETLINK", AF_NETLINK}};
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW);
    bool allowed[AF_MAX] = {false};
    char words[256], *rest = words;
    snprintf(words, sizeof words, "%s", list);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (strcmp(word, known[i].name) == 0)
                allowed[known[i].family] = true;
    for (unsigned family = 0; family < AF_MAX; family++) {
        const struct scmp_arg_cmp is = SCMP_CMP64(0, SCMP_CMP_EQ, family);
        if (!allowed[family])
            deny(filter, EAFNOSUPPORT, SCMP_SYS(socket), 1, &is);
    }
    const struct scmp_arg_cmp beyond = SCMP_CMP64(0, SCMP_CMP_GE, AF_MAX);
    deny(filter, EAFNOSUPPORT, SCMP_SYS(socket), 1, &beyond);
    load(filter);
}

/* clone3 hides its flags behind a pointer: systemd says that there is none, and libc takes clone. */
static void restrict_namespaces(void)
{
    static const uint64_t kinds[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                     CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW);
    deny(filter, ENOSYS, SCMP_SYS(clone3), 0, NULL);
    deny(filter, EPERM, SCMP_SYS(setns), 0, NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct scmp_arg_cmp kind = has_bits(0, kinds[i]);
        deny(filter, EPERM, SCMP_SYS(unshare), 1, &kind);
        deny(filter, EPERM, SCMP_SYS(clone), 1, &kind);
    }
    load(filter);
}

static void restrict_rest(void)
{
    static const uint64_t bits[] = {S_ISUID, S_ISGID};
    static const struct {
        int call;
        unsigned argument;
    } modes[] = {{SCMP_SYS(chmod), 1},   {SCMP_SYS(fchmod), 1},  {SCMP_SYS(fchmodat), 2},
                 {SCMP_SYS(mkdir), 1},   {SCMP_SYS(mkdirat), 2}, {SCMP_SYS(mknod), 1},
                 {SCMP_SYS(mknodat), 2}, {SCMP_SYS(creat), 1}};
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW);
    for (size_t i = 0; unit.no_suid && i < sizeof modes / sizeof modes[0]; i++)
        for (size_t b = 0; b < 2; b++) {
            const struct scmp_arg_cmp has = has_bits(modes[i].argument, bits[b]);
            deny(filter, EPERM, modes[i].call, 1, &has);
        }
    const struct scmp_arg_cmp realtime = SCMP_CMP64(1, SCMP_CMP_GT, 0);
    const struct scmp_arg_cmp other = SCMP_CMP64(0, SCMP_CMP_NE, (unsigned)personality(0xffffffff));
    if (unit.no_realtime)
        deny(filter, EPERM, SCMP_SYS(sched_setscheduler), 1, &realtime);
    if (unit.no_personality)
        deny(filter, EPERM, SCMP_SYS(personality), 1, &other);
    load(filter);
}

/* The groups as `systemd-analyze syscall-filter` prints them: a name in column 0, its members indented. */
static char *groups;

static void read_groups(void)
{
    FILE *pipe = popen("systemd-analyze syscall-filter --no-pager 2>/dev/null", "re");
    size_t size = 1, room = 1 << 16;
    groups = malloc(room);
    groups[0] = '\n'; /* each name begins a line */
    for (size_t got;
         pipe != NULL && size < room - 1 && (got = fread(groups + size, 1, room - 1 - size, pipe)) > 0;)
        size += got;
    groups[size] = '\0';
    must(pipe != NULL && pclose(pipe) == 0 && size > 1000, "systemd-analyze syscall-filter");
}

static void mark(bool *allowed, const char *word, bool value)
{
    if (word[0] != '@') {
        int call = seccomp_syscall_resolve_name(word);
        if (call >= 0 && call < SYSCALLS_MAX) /* others belong to other machines */
            allowed[call] = value;
        return;
    }
    char heading[64];
    snprintf(heading, sizeof heading, "\n%s\n", word);
    const char *at = strstr(groups, heading);
    must(at != NULL, "no system call group %s", word);
    for (at += strlen(heading); strncmp(at, "    ", 4) == 0; at += strcspn(at, "\n") + 1) {
        char member[64];
        if (sscanf(at, " %63s", member) == 1 && member[0] != '#')
            mark(allowed, member, value);
    }
}

static void filter_calls(void)
{
    bool allowed[SYSCALLS_MAX] = {false};
    mark(allowed, "@default", true); /* as systemd adds it to each list of what is allowed */
    for (unsigned i = 0; i < unit.filters_count; i++) {
        char words[1024], *rest = words;
        bool denies = unit.filters[i][0] == '~';
        snprintf(words, sizeof words, "%s", unit.filters[i] + denies);
        for (char *word; (word = strsep(&rest, " ")) != NULL;)
            if (*word != '\0')
                mark(allowed, word, !denies);
    }
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ERRNO(EPERM));
    for (int call = 0; call < SYSCALLS_MAX; call++)
        if (allowed[call] && (errno = -seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0)) != 0)
            end(EXIT_MACHINE, "call %d", call);
    load(filter);
}

static void apply_filters(void)
{
    if (unit.no_write_execute)
        restrict_memory();
    if (unit.families != NULL)
        restrict_families(unit.families);
    if (unit.no_namespaces)
        restrict_namespaces();
    restrict_rest();
    if (unit.filters_count > 0)
        filter_calls();
}

int main(int argc, char **argv)
{
    int at = 2;
    if (argc < 2)
        end(64,
            "usage: sandbox UNIT [--rw DIRECTORY] [--ro PATH] [--exec PATH] [--no-seccomp] -- PROGRAM ...");
    read_unit(argv[1]);
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strcmp(argv[at], "--no-seccomp") == 0)
            unit.seccomp = false;
        else if (at + 1 < argc && (strcmp(argv[at], "--rw") == 0 || strcmp(argv[at], "--ro") == 0 ||
                                   strcmp(argv[at], "--exec") == 0))
            keep(argv[at + 1], argv[at][3] == 'w', argv[at][2] == 'e'), at++;
        else
            end(64, "unknown option %s", argv[at]);
    }
    if (at + 1 >= argc)
        end(64, "no program");
    if (unit.seccomp)
        read_groups();
    set_limit(RLIMIT_NOFILE, unit.files_text);
    set_limit(RLIMIT_CORE, unit.core_text);
    if (unit.umask_text != NULL)
        umask((mode_t)strtoul(unit.umask_text, NULL, 8));
    bool was_root = geteuid() == 0;
    apply_file_systems();
    if (was_root && unit.private_users)
        enter_users(0);
    if (unit.no_capability)
        drop_capabilities();
    if (unit.no_new_privileges)
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    if (unit.seccomp)
        apply_filters();
    execv(argv[at + 1], argv + at + 1);
    end(EXIT_MACHINE, "cannot execute %s", argv[at + 1]);
}
