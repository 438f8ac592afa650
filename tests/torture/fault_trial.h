/* One trial of the fault rig: what shall fail in which scene, what came of it, and whether that is right. */
#ifndef PIPC_TESTS_FAULT_TRIAL_H
#define PIPC_TESTS_FAULT_TRIAL_H

#include "fault.h"
#include "fault_scene.h"

/* The child and its tracer share it. */
struct trial {
    struct fault fault;
    unsigned failing_allocation; /* the nth allocation fails, 1 = the first; 0 = none */
    bool allocations_for_good;
    unsigned allocations; /* made in the call */
    struct scene scene;
    int answer;
    char detail[640];
    int files, maps; /* more of them afterwards than before */
};

/* Each blames the scene if something is wrong: the answer, where `usual` is the one without a failure; descriptors
 * and mappings that are left, beyond those that the kernel refused to take back. */
void trial_judge_answer(struct trial *trial, int usual);
void trial_judge_leftovers(struct trial *trial);

/* Fails the test, saying what failed how and what the problem is. */
void trial_tell_problem(const struct trial *trial);

#endif
