/* Runs the manual's code: pipc_snippets [PREFIX], or "pipc_snippets --old" for the raw kernel calls
 * that the course page starts from. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "snippets.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const struct {
    const char *what;
    int (*run)(const char *name);
} snippets[] = {
    {"report", show_report},
    {"queue", show_queue},
    {"selection", show_selection},
    {"buffer", show_buffer},
    {"stop", show_stop},
    {"sync", show_sync},
    {"memory", show_memory},
    {"channel", show_channel},
    {"in_place", show_in_place},
    {"subscribers", show_subscribers},
    {"statistics", show_statistics},
    {"objects", show_objects},
    {"course_queue", show_course_queue},
    {"course_memory", show_course_memory},
};

static const struct {
    const char *what;
    int (*run)(void);
} old[] = {
    {"old_sysv_queue", old_sysv_queue},
    {"old_sysv_memory", old_sysv_memory},
    {"old_posix_queue", old_posix_queue},
    {"old_posix_memory", old_posix_memory},
};

static int judge(const char *what, int result)
{
    printf("%s: %s\n", what, result ? "FAILED" : "ok");
    return result != 0;
}

int main(int argc, char **argv)
{
    const char *prefix = argc > 1 ? argv[1] : "manual";
    int failed = 0;
    if (strcmp(prefix, "--old") == 0) {
        for (size_t i = 0; i < COUNT(old); i++)
            failed += judge(old[i].what, old[i].run());
        return failed != 0;
    }
    for (size_t i = 0; i < COUNT(snippets); i++) {
        char name[150];
        snprintf(name, sizeof name, "%.80s-%s-%ld", prefix, snippets[i].what, (long)getpid());
        failed += judge(snippets[i].what, snippets[i].run(name));
    }
    return failed != 0;
}
