/* What the library says of itself, and how it says what went wrong. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "support.h"

static void facts_agree_with_the_headers(void)
{
    pipc_facts facts;
    char version[40];
    REQUIRE_OK(pipc_library_facts(&facts));
    snprintf(version, sizeof version, "%d.%d.%d", PIPC_VERSION_MAJOR, PIPC_VERSION_MINOR, PIPC_VERSION_PATCH);
    CHECK(strcmp(facts.version, version) == 0);
    CHECK(strcmp(facts.backend, pipc_be_name) == 0);
    CHECK(strcmp(facts.platform, "linux") == 0 || strcmp(facts.platform, "generic") == 0);
    CHECK_EQUAL(facts.detects_death, strcmp(facts.platform, "linux") == 0);
    CHECK_EQUAL(facts.name_max, PIPC_NAME_MAX);
    CHECK_EQUAL(facts.type_max, PIPC_TYPE_MAX);
    CHECK_EQUAL(facts.priority_max, PIPC_PRIORITY_MAX);
    CHECK_EQUAL(facts.messages_max, PIPC_MESSAGES_MAX);
    CHECK_EQUAL(facts.message_size_max, PIPC_MESSAGE_SIZE_MAX);
    CHECK_EQUAL(facts.default_messages, PIPC_DEFAULT_MESSAGES);
    CHECK_EQUAL(facts.default_size, PIPC_DEFAULT_SIZE);
    CHECK_ERROR(pipc_library_facts(NULL), INVALID);
}

static void promised_figures_are_the_documented_ones(void)
{
    CHECK_EQUAL(PIPC_NAME_MAX, 200);
    CHECK_EQUAL(PIPC_TYPE_MAX, INT32_MAX);
    CHECK_EQUAL(PIPC_PRIORITY_MAX, 31);
    CHECK_EQUAL(PIPC_MS(1), 1000000);
    CHECK_EQUAL(PIPC_US(7), 7000);
    CHECK_EQUAL(PIPC_NS(7), 7);
    CHECK_EQUAL(PIPC_SECONDS(3), INT64_C(3000000000));
    CHECK_EQUAL(sizeof(pipc_event), 16);
    CHECK_EQUAL(sizeof(pipc_mutex), 16);
    CHECK_EQUAL(sizeof(pipc_semaphore), 16);
    CHECK_EQUAL(PIPC_SEMAPHORE_MAX, INT32_MAX);
}

/* The facts tell the kernel's limits as they are: what they call possible goes through the kernel. */
static void a_message_of_the_kernels_size_goes_through_the_kernel(void)
{
    static char body[1 << 20];
    pipc_facts facts;
    pipc_queue *queue;
    pipc_queue_info info;
    uint64_t there = 0;
    REQUIRE_OK(pipc_library_facts(&facts));
    REQUIRE(facts.kernel_message_max > 0 && facts.kernel_message_max < sizeof body);
    pipc_queue_options options = {.max_messages = 4, .max_size = facts.kernel_message_max + 1};
    REQUIRE_OK(pipc_queue_open(&queue, test_name("facts"), PIPC_CREATE, &options));
    REQUIRE_OK(pipc_queue_statistics(queue, &info));
    CHECK(info.kernel_size <= facts.kernel_message_max);
    CHECK(info.kernel_depth <= facts.kernel_depth_max || facts.kernel_depth_max == 0);
    CHECK(strcmp(info.backend, facts.backend) == 0);
    pipc_message message = {.type = 1, .data = body, .size = info.kernel_size};
    CHECK_OK(pipc_queue_send(queue, &message, PIPC_NOWAIT));
    CHECK(probe_queue_count(test_name("facts"), &there));
    CHECK_EQUAL(there, 1);
    message.size = info.kernel_size + 1;
    CHECK_OK(pipc_queue_send(queue, &message, PIPC_NOWAIT));
    CHECK(probe_queue_count(test_name("facts"), &there));
    CHECK_EQUAL(there, 1);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(test_name("facts")));
}

/* ---- errors ---- */

static void every_error_has_a_name_and_a_text(void)
{
#define ERROR_SAYS(symbol, number, text)                                                                               \
    CHECK_EQUAL(PIPC_E_##symbol, number);                                                                              \
    CHECK(strcmp(pipc_error_name(PIPC_E_##symbol), "PIPC_E_" #symbol) == 0);                                           \
    CHECK(strcmp(pipc_error_text(PIPC_E_##symbol), text) == 0);
    PIPC_ERRORS(ERROR_SAYS)
#undef ERROR_SAYS
    static const int strange[] = {-1, 99, 1000, INT32_MAX, INT32_MIN};
    for (unsigned i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        CHECK(strcmp(pipc_error_text(strange[i]), "unknown error") == 0);
        CHECK(strcmp(pipc_error_name(strange[i]), "PIPC_E_?") == 0);
    }
    CHECK(pipc_error_text(0) != NULL);
    CHECK(pipc_error_name(0) != NULL);
}

static void fail_once(void)
{
    pipc_shm *shm;
    CHECK_ERROR(pipc_shm_open(&shm, test_name("absent"), 0, NULL), NOT_FOUND);
}

static void *silent_thread(void *argument)
{
    (void)argument;
    CHECK(pipc_error_detail() != NULL && pipc_error_detail()[0] == '\0');
    CHECK_ERROR(pipc_shm_remove(""), NAME);
    CHECK(pipc_error_detail()[0] != '\0');
    return NULL;
}

static void the_detail_belongs_to_the_thread(void)
{
    char before[500];
    pthread_t thread;
    CHECK_EQUAL(pipc_error_detail()[0], 0);
    fail_once();
    CHECK(strstr(pipc_error_detail(), "absent") != NULL);
    snprintf(before, sizeof before, "%s", pipc_error_detail());
    REQUIRE(pthread_create(&thread, NULL, silent_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(strcmp(before, pipc_error_detail()) == 0);
}

static void success_leaves_the_detail_as_it_was(void)
{
    char before[500];
    pipc_facts facts;
    pipc_shm *shm;
    fail_once();
    snprintf(before, sizeof before, "%s", pipc_error_detail());
    CHECK_OK(pipc_library_facts(&facts));
    CHECK_OK(pipc_shm_open(&shm, test_name("made"), PIPC_CREATE, &(pipc_shm_options){.size = 1}));
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(test_name("made")));
    CHECK(strcmp(before, pipc_error_detail()) == 0);
}

static int look_at_detail(void *argument)
{
    CHECK(strcmp(argument, pipc_error_detail()) == 0);
    return 0;
}

static void a_child_starts_with_its_parents_detail(void)
{
    char before[500];
    fail_once();
    snprintf(before, sizeof before, "%s", pipc_error_detail());
    CHECK_EQUAL(test_wait(test_fork(look_at_detail, before), PIPC_SECONDS(10)), 0);
}

/* A name of 200 bytes fits the sentence, or is cut: never more than the buffer, always ended. */
static void long_names_do_not_break_the_detail(void)
{
    char name[PIPC_NAME_MAX + 1];
    pipc_queue *queue;
    memset(name, '%', sizeof name - 1);
    memcpy(name, test_prefix(), strlen(test_prefix()));
    name[PIPC_NAME_MAX] = '\0';
    CHECK_ERROR(pipc_queue_open(&queue, name, 0, NULL), NOT_FOUND);
    CHECK(strstr(pipc_error_detail(), "%%%%") != NULL);
    CHECK(strlen(pipc_error_detail()) < 2000);
}

static const struct test tests[] = {
    {"Q11", "facts_agree_with_the_headers", facts_agree_with_the_headers, 0},
    {"Q1 Q4", "promised_figures_are_the_documented_ones", promised_figures_are_the_documented_ones, 0},
    {"Q9 Q11", "a_message_of_the_kernels_size_goes_through_the_kernel",
     a_message_of_the_kernels_size_goes_through_the_kernel, 0},
    {"Q2", "every_error_has_a_name_and_a_text", every_error_has_a_name_and_a_text, 0},
    {"Q2 Q13", "the_detail_belongs_to_the_thread", the_detail_belongs_to_the_thread, 0},
    {"Q2", "success_leaves_the_detail_as_it_was", success_leaves_the_detail_as_it_was, 0},
    {"Q2 Q13", "a_child_starts_with_its_parents_detail", a_child_starts_with_its_parents_detail, 0},
    {"Q1", "long_names_do_not_break_the_detail", long_names_do_not_break_the_detail, 0},
};

TEST_MAIN("library", tests)
