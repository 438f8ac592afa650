/* The functions that hold the manual's code; each returns 0 if it worked. */
#ifndef PIPC_SNIPPETS_H
#define PIPC_SNIPPETS_H

int show_report(const char *name);
int show_queue(const char *name);
int show_selection(const char *name);
int show_buffer(const char *name);
int show_stop(const char *name);
int show_sync(const char *name);
int show_memory(const char *name);
int show_channel(const char *name);
int show_in_place(const char *name);
int show_subscribers(const char *name);
int show_statistics(const char *name);
int show_objects(const char *name);
int show_course_queue(const char *name);
int show_course_memory(const char *name);

int old_sysv_queue(void);
int old_sysv_memory(void);
int old_posix_queue(void);
int old_posix_memory(void);

#endif
