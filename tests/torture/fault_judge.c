/* See fault_trial.h. */
#define _GNU_SOURCE
#include "fault_trial.h"

#include <stdio.h>
#include <string.h>

/* Is one of "a|b|c" in the sentence? */
static bool says(const char *sentence, const char *words)
{
    char one[40];
    for (const char *end; *words; words = *end ? end + 1 : end) {
        end = words + strcspn(words, "|");
        snprintf(one, sizeof one, "%.*s", (int)(end - words), words);
        if (strstr(sentence, one))
            return true;
    }
    return false;
}

static bool is_listed(const struct scene_play *play, int error)
{
    char word[40];
    snprintf(word, sizeof word, " %s ", pipc_error_name(error) + strlen("PIPC_E_"));
    return error == play->usual || strstr(play->errors, word) != NULL;
}

/* These say what the caller must know; which kernel call it was does not matter to them. */
static bool must_name_the_call(int error)
{
    return error == PIPC_E_SYSTEM || error == PIPC_E_LIMIT || error == PIPC_E_NO_SPACE || error == PIPC_E_NO_MEMORY ||
           error == PIPC_E_ACCESS;
}

void trial_judge_answer(struct trial *trial, int usual)
{
    struct scene *scene = &trial->scene;
    const struct scene_play *play = scene->play;
    const struct fault_call *failed = trial->fault.failed ? trial->fault.call : NULL;
    int answer = trial->answer;
    if (answer == 0 || answer == usual)
        return;
    if (!failed && !trial->failing_allocation && play->usual < 0)
        return;
    if (!failed && !trial->failing_allocation)
        scene_blame(scene, "it answered %s: %.200s", pipc_error_name(answer), trial->detail);
    else if (!is_listed(play, answer))
        scene_blame(scene, "it answered %s, which it should not: %.200s", pipc_error_name(answer), trial->detail);
    else if (strncmp(trial->detail, play->function, strlen(play->function)) != 0)
        scene_blame(scene, "the detail does not name the call: %.200s", trial->detail);
    else if (failed && must_name_the_call(answer) && !says(trial->detail, failed->said))
        scene_blame(scene, "%s: the detail does not name what failed: %.200s", pipc_error_name(answer), trial->detail);
    else if (trial->failing_allocation && answer != PIPC_E_NO_MEMORY)
        scene_blame(scene, "no memory was answered %s: %.200s", pipc_error_name(answer), trial->detail);
}

/* What the first pipc call of a process maps for ever is one page. */
void trial_judge_leftovers(struct trial *trial)
{
    int maps = trial->maps - (trial->scene.play->first ? 1 : 0);
    if (trial->files > (int)trial->fault.left_files)
        scene_blame(&trial->scene, "%d descriptors leaked", trial->files - (int)trial->fault.left_files);
    if (maps > (int)trial->fault.left_maps)
        scene_blame(&trial->scene, "%d mappings leaked", maps - (int)trial->fault.left_maps);
}

void trial_tell_problem(const struct trial *trial)
{
    char sentence[900];
    const struct fault *fault = &trial->fault;
    const char *often = fault->for_good || trial->allocations_for_good ? "for good" : "once";
    if (trial->failing_allocation)
        snprintf(sentence, sizeof sentence, "%s, allocation %u fails %s: %s", trial->scene.play->name,
                 trial->failing_allocation, often, trial->scene.problem);
    else
        snprintf(sentence, sizeof sentence, "%s, kernel call %u, %s, fails with %s %s: %s", trial->scene.play->name,
                 fault->nth, fault->call ? fault->call->name : "none",
                 fault->error ? strerrorname_np(fault->error) : "nothing", often, trial->scene.problem);
    fprintf(stderr, "fault: %s\n", sentence);
    test_check(false, false, __FILE__, __LINE__, sentence);
}
