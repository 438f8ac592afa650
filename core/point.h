/* Points: places in the code where it matters that a process may die or be stopped just there. In the library
 * that users get they are nothing at all. In the build that the torture rigs use (PIPC_POINTS) each calls
 * pipc_point_reached(), which the rig defines, and all of them stand side by side in one table. */
#ifndef PIPC_CORE_POINT_H
#define PIPC_CORE_POINT_H

#ifdef PIPC_POINTS

struct pipc_point {
    const char *name; /* "send: put, not confirmed" */
};

extern const struct pipc_point __start_pipc_points[], __stop_pipc_points[]; /* the linker's: first, behind the last */

void pipc_point_reached(const struct pipc_point *point);

#define PIPC_POINT(text)                                                                                               \
    do {                                                                                                               \
        static const struct pipc_point point __attribute__((section("pipc_points"), used)) = {text};                   \
        pipc_point_reached(&point);                                                                                    \
    } while (0)

#else

#define PIPC_POINT(text) ((void)0)

#endif
#endif
