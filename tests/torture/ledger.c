/* See ledger.h: writing; judge.c reads. */
#include "ledger.h"

#include <string.h>

void ledger_clear(struct ledger *ledger)
{
    uint32_t used = atomic_load(&ledger->notes);
    memset(ledger->note, 0, sizeof *ledger->note * (used < LEDGER_NOTES ? used + 1 : LEDGER_NOTES));
    atomic_store(&ledger->notes, 0);
    atomic_store(&ledger->numbers, 0);
    atomic_store(&ledger->full, 0);
    ledger->epoch++;
}

/* Place 0 stays empty: it stands for "none". */
static void write_note(struct ledger *ledger, struct ledger_note note)
{
    uint32_t at = atomic_fetch_add(&ledger->notes, 1) + 1;
    if (at >= LEDGER_NOTES - 1000) /* the rest is for those who are at work still */
        atomic_store(&ledger->full, 1);
    if (!CHECK(at < LEDGER_NOTES))
        return;
    uint8_t kind = note.kind;
    note.kind = LEDGER_NOTHING;
    note.when = test_now();
    ledger->note[at] = note;
    atomic_signal_fence(memory_order_seq_cst);
    *(volatile uint8_t *)&ledger->note[at].kind = kind;
}

void ledger_write(struct ledger *ledger, unsigned actor, enum ledger_kind kind, uint32_t number)
{
    write_note(ledger, (struct ledger_note){.number = number, .actor = (uint8_t)actor, .kind = (uint8_t)kind});
}

void ledger_write_takes(struct ledger *ledger, unsigned actor, pipc_selection selection)
{
    write_note(ledger, (struct ledger_note){.actor = (uint8_t)actor,
                                            .rule = (uint8_t)selection.rule,
                                            .type = (uint8_t)selection.type,
                                            .kind = LEDGER_TAKES});
}

struct letter letter_of(const struct ledger *ledger, uint32_t number)
{
    static const uint32_t priorities[] = {0, 0, 5, 31};
    struct letter letter = {.body = (uint64_t)ledger->epoch << 32 | number};
    uint64_t dice = letter.body;
    test_random(&dice, 2);
    letter.type = 1 + test_random(&dice, LETTER_TYPES);
    letter.priority = priorities[test_random(&dice, 4)];
    letter.size = 8 + test_random(&dice, 93);
    if (ledger->big_one_in && test_random(&dice, ledger->big_one_in) == 0)
        letter.size = 8300 + test_random(&dice, 700);
    return letter;
}

bool letter_is(struct ledger *ledger, const struct queue_got *got, uint32_t *number)
{
    *number = (uint32_t)got->number;
    struct letter letter = letter_of(ledger, *number);
    bool same = got->whole && got->number == letter.body && *number < atomic_load(&ledger->numbers) &&
                got->size == letter.size && got->type == letter.type && got->priority == letter.priority;
    atomic_fetch_add(&ledger->torn, !same);
    return same;
}
