/* Boost.Lockfree: spsc_queue in shared memory. It holds values of one type, so there is one type for each size that
 * is measured; it cannot wait, so both sides look again. */
#include <boost/lockfree/spsc_queue.hpp>
#include <sys/mman.h>

#include <cstring>

#include "bench/peers/patience.h"
#include "bench/system.h"

namespace
{

template <size_t size> struct Message {
    char bytes[size];
};

template <size_t size> struct Ring {
    using Value = Message<size>;
    static constexpr size_t fit = (size_t(4) << 20) / size;
    using Queue = boost::lockfree::spsc_queue<Value, boost::lockfree::capacity<(fit < 8 ? 8 : fit)>>;

    static void make(void *place)
    {
        new (place) Queue;
    }
    static bool push(void *place, const void *data)
    {
        return static_cast<Queue *>(place)->push(*static_cast<const Value *>(data));
    }
    static bool pop(void *place, void *buffer)
    {
        return static_cast<Queue *>(place)->pop(*static_cast<Value *>(buffer));
    }
};

struct Kind {
    size_t size, room;
    void (*make)(void *);
    bool (*push)(void *, const void *);
    bool (*pop)(void *, void *);
};

template <size_t size> constexpr Kind kind()
{
    return {size, sizeof(typename Ring<size>::Queue), Ring<size>::make, Ring<size>::push, Ring<size>::pop};
}

constexpr Kind kinds[] = {kind<64>(), kind<1024>(), kind<8000>(), kind<8192>(), kind<65536>(), kind<1048576>()};

struct Peer {
    const Kind *kind;
    void *place;
};

void *make(const bench_setup *setup)
{
    auto *link = static_cast<Peer *>(bench_allocate(sizeof(Peer)));
    for (const Kind &one : kinds)
        if (one.size == setup->size)
            link->kind = &one;
    if (!link->kind)
        bench_die("boost-spsc has no messages of %zu bytes", setup->size);
    link->place = mmap(nullptr, link->kind->room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (link->place == MAP_FAILED)
        bench_fail("mmap");
    link->kind->make(link->place);
    return link;
}

void destroy(void *link)
{
    auto *peer = static_cast<Peer *>(link);
    munmap(peer->place, peer->kind->room);
    free(link);
}

void send(void *link, void *data, size_t, uint32_t)
{
    auto *peer = static_cast<Peer *>(link);
    for (unsigned looks = 0; !peer->kind->push(peer->place, data);)
        look_again(&looks);
}

size_t receive(void *link, void *buffer, size_t, uint32_t)
{
    auto *peer = static_cast<Peer *>(link);
    for (unsigned looks = 0; !peer->kind->pop(peer->place, buffer);)
        look_again(&looks);
    return peer->kind->size;
}

} // namespace

extern "C" const bench_system bench_boost_ring;
const bench_system bench_boost_ring = {
    .name = "boost-spsc",
    .can = BENCH_TRIP | BENCH_FLOW,
    .largest = 0,
    .make = make,
    .join = nullptr,
    .leave = nullptr,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
