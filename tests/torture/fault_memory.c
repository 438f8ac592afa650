/* The scenes of shared memory; see fault_scene.h. */
#include <string.h>

#include "fault_scene.h"

enum { READ_WRITE = PIPC_READ | PIPC_WRITE, BYTES = 20000 };

static int make(struct scene *scene, uint32_t flags)
{
    return pipc_shm_open(&scene->shm, scene->name, flags, &(pipc_shm_options){.size = BYTES});
}

static int map(struct scene *scene, unsigned which, uint32_t flags)
{
    return pipc_shm_map(scene->shm, flags, &scene->mappings[which]);
}

/* ---- Before ---- */

static void prepare_unmapped(struct scene *scene)
{
    REQUIRE_OK(make(scene, PIPC_CREATE | PIPC_EXCLUSIVE));
    REQUIRE_OK(map(scene, 0, READ_WRITE));
    memset(scene->mappings[0], 'm', BYTES);
    REQUIRE_OK(pipc_shm_unmap(scene->shm, scene->mappings[0]));
    scene->mappings[0] = NULL;
}

static void prepare_mapped(struct scene *scene)
{
    prepare_unmapped(scene);
    REQUIRE_OK(map(scene, 0, READ_WRITE));
}

static void prepare_mapped_twice(struct scene *scene)
{
    prepare_mapped(scene);
    REQUIRE_OK(map(scene, 1, PIPC_READ));
}

static void prepare_closed(struct scene *scene)
{
    prepare_unmapped(scene);
    REQUIRE_OK(pipc_shm_close(scene->shm));
    scene->shm = NULL;
}

/* ---- Calls ---- */

static int call_create(struct scene *scene)
{
    return make(scene, PIPC_CREATE | PIPC_EXCLUSIVE);
}

static int call_create_touched(struct scene *scene)
{
    return make(scene, PIPC_CREATE | PIPC_PREFAULT);
}

static int call_open(struct scene *scene)
{
    return pipc_shm_open(&scene->shm, scene->name, 0, NULL);
}

static int call_map(struct scene *scene)
{
    return map(scene, 0, READ_WRITE);
}

static int call_map_again(struct scene *scene)
{
    return map(scene, 1, READ_WRITE);
}

static int call_map_locked(struct scene *scene)
{
    return map(scene, 1, READ_WRITE | PIPC_LOCK | PIPC_PREFAULT);
}

static int call_map_huge(struct scene *scene)
{
    return map(scene, 1, READ_WRITE | PIPC_HUGE);
}

static int unmap(struct scene *scene, unsigned which)
{
    int error = pipc_shm_unmap(scene->shm, scene->mappings[which]);
    scene->mappings[which] = NULL;
    return error;
}

static int call_unmap(struct scene *scene)
{
    return unmap(scene, 0);
}

static int call_unmap_second(struct scene *scene)
{
    return unmap(scene, 1);
}

static int call_size(struct scene *scene)
{
    uint64_t size = 0;
    int error = pipc_shm_size(scene->shm, &size);
    if (!error && size != BYTES)
        scene_blame(scene, "the size is %llu", (unsigned long long)size);
    return error;
}

static int call_statistics(struct scene *scene)
{
    pipc_shm_info info;
    int error = pipc_shm_statistics(scene->shm, &info);
    if (!error && (info.size != BYTES || info.attachments < 1))
        scene_blame(scene, "the statistics tell %llu bytes, %llu attachments", (unsigned long long)info.size,
                    (unsigned long long)info.attachments);
    return error;
}

static int call_remove(struct scene *scene)
{
    return pipc_shm_remove(scene->name);
}

static int call_close(struct scene *scene)
{
    return pipc_shm_close(scene->shm);
}

/* ---- After ---- */

static bool is_whole(const unsigned char *bytes, unsigned char byte)
{
    return bytes[0] == byte && memcmp(bytes, bytes + 1, BYTES - 1) == 0;
}

/* The object shows these bytes through what is mapped and through a mapping made now, and takes new ones. */
static void check_memory(struct scene *scene, unsigned char byte)
{
    void *address = NULL;
    for (unsigned i = 0; i < 2; i++)
        if (scene->mappings[i] && !is_whole(scene->mappings[i], byte))
            scene_blame(scene, "a mapping shows other bytes than were written");
    scene_must(scene, pipc_shm_map(scene->shm, READ_WRITE, &address), "mapping it");
    if (!address)
        return;
    if (!is_whole(address, byte))
        scene_blame(scene, "the memory has other bytes than were written");
    memset(address, 'n', BYTES);
    scene_must(scene, pipc_shm_unmap(scene->shm, address), "unmapping it");
}

static void check_removed(struct scene *scene)
{
    pipc_shm *none = NULL;
    int error = pipc_shm_open(&none, scene->name, 0, NULL);
    if (error != PIPC_E_NOT_FOUND)
        scene_blame(scene, "removed memory is opened: %s", pipc_error_name(error));
}

static void take_away(struct scene *scene)
{
    scene_must(scene, pipc_shm_close(scene->shm), "close");
    scene_must(scene, pipc_shm_remove(scene->name), "remove");
    scene->shm = NULL;
    check_removed(scene);
}

static void verify_opened(struct scene *scene, int answer, uint32_t flags, unsigned char byte)
{
    if (answer && scene->shm)
        scene_blame(scene, "a handle was given with the error");
    if (answer)
        scene_must(scene, make(scene, flags), "opening it again");
    if (!scene->shm)
        return;
    check_memory(scene, byte);
    take_away(scene);
}

static void verify_created(struct scene *scene, int answer)
{
    verify_opened(scene, answer, PIPC_CREATE, 0);
}

static void verify_found(struct scene *scene, int answer)
{
    verify_opened(scene, answer, 0, 'm');
}

static void verify_same(struct scene *scene, int answer)
{
    if (answer && (scene->play->call == call_map ? scene->mappings[0] : NULL))
        scene_blame(scene, "an address was given with the error");
    check_memory(scene, 'm');
    take_away(scene);
}

static void verify_mapped(struct scene *scene, int answer)
{
    if (answer && scene->mappings[1])
        scene_blame(scene, "an address was given with the error");
    check_memory(scene, 'm');
    if (!answer)
        scene_must(scene, unmap(scene, 1), "unmapping it");
    take_away(scene);
}

static void verify_remove(struct scene *scene, int answer)
{
    int error = pipc_shm_remove(scene->name);
    if (answer)
        scene_must(scene, error, "removing it again");
    else if (error != PIPC_E_NOT_FOUND)
        scene_blame(scene, "removed memory is removed again: %s", pipc_error_name(error));
    if (!is_whole(scene->mappings[0], 'm'))
        scene_blame(scene, "a mapping of removed memory shows other bytes");
    scene_must(scene, pipc_shm_close(scene->shm), "close");
    scene->shm = NULL;
    scene_must(scene, make(scene, PIPC_CREATE | PIPC_EXCLUSIVE), "making it anew");
    if (scene->shm)
        take_away(scene);
}

static void verify_close(struct scene *scene, int answer)
{
    (void)answer;
    scene->shm = NULL;
    scene->mappings[0] = scene->mappings[1] = NULL;
    verify_opened(scene, call_open(scene), 0, 'm');
}

/* ---- All of them ---- */

#define MAKING  " EXISTS ACCESS BUSY NO_SPACE LIMIT NO_MEMORY FOREIGN SYSTEM "
#define FINDING " NOT_FOUND ACCESS BUSY LIMIT NO_MEMORY NO_SPACE FOREIGN DAMAGED SYSTEM "
#define MAPPING " LIMIT NO_SPACE UNSUPPORTED NO_MEMORY ACCESS SYSTEM "

const struct scene_play fault_memories[] = {
    {"first create memory", "pipc_shm_open", MAKING, 0, true, NULL, call_create, verify_created},
    {"create memory", "pipc_shm_open", MAKING, 0, false, NULL, call_create, verify_created},
    {"create memory, touched", "pipc_shm_open", MAKING, 0, false, NULL, call_create_touched, verify_created},
    {"open memory", "pipc_shm_open", FINDING, 0, false, prepare_closed, call_open, verify_found},
    {"map", "pipc_shm_map", MAPPING, 0, false, prepare_unmapped, call_map, verify_same},
    {"map again", "pipc_shm_map", MAPPING, 0, false, prepare_mapped, call_map_again, verify_mapped},
    {"map locked", "pipc_shm_map", MAPPING, -1, false, prepare_mapped, call_map_locked, verify_mapped},
    {"map with huge pages", "pipc_shm_map", MAPPING, -1, false, prepare_mapped, call_map_huge, verify_mapped},
    {"unmap", "pipc_shm_unmap", "", 0, false, prepare_mapped, call_unmap, verify_same},
    {"unmap the second", "pipc_shm_unmap", "", 0, false, prepare_mapped_twice, call_unmap_second, verify_same},
    {"unmap the first", "pipc_shm_unmap", "", 0, false, prepare_mapped_twice, call_unmap, verify_same},
    {"size", "pipc_shm_size", "", 0, false, prepare_unmapped, call_size, verify_same},
    {"statistics of memory", "pipc_shm_statistics", " SYSTEM ", 0, false, prepare_unmapped, call_statistics,
     verify_same},
    {"remove memory", "pipc_shm_remove", FINDING, 0, false, prepare_mapped, call_remove, verify_remove},
    {"close memory", "pipc_shm_close", "", 0, false, prepare_mapped_twice, call_close, verify_close},
};

const unsigned fault_memories_count = sizeof fault_memories / sizeof *fault_memories;
