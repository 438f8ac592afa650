/* Boost.Interprocess: message_queue. */
#include <boost/interprocess/ipc/message_queue.hpp>

#include "bench/system.h"

namespace
{

using boost::interprocess::message_queue;

struct Peer {
    char name[64];
    message_queue *queue;
};

uint32_t depth_of(const bench_setup *setup)
{
    size_t fit = (size_t(4) << 20) / setup->size;
    return setup->depth ? setup->depth : fit < 8 ? 8 : static_cast<uint32_t>(fit);
}

void *make(const bench_setup *setup)
try {
    auto *link = static_cast<Peer *>(bench_allocate(sizeof(Peer)));
    snprintf(link->name, sizeof(link->name), "%s", setup->name);
    message_queue(boost::interprocess::create_only, link->name, depth_of(setup), setup->size);
    return link;
} catch (const std::exception &failure) {
    bench_die("boost: %s", failure.what());
}

void join(void *link, bench_role)
try {
    auto *peer = static_cast<Peer *>(link);
    peer->queue = new message_queue(boost::interprocess::open_only, peer->name);
} catch (const std::exception &failure) {
    bench_die("boost: %s", failure.what());
}

void leave(void *link)
{
    delete static_cast<Peer *>(link)->queue;
}

void destroy(void *link)
{
    message_queue::remove(static_cast<Peer *>(link)->name);
    free(link);
}

void send(void *link, void *data, size_t size, uint32_t)
{
    static_cast<Peer *>(link)->queue->send(data, size, 0);
}

size_t receive(void *link, void *buffer, size_t room, uint32_t)
{
    message_queue::size_type size;
    unsigned priority;
    static_cast<Peer *>(link)->queue->receive(buffer, room, size, priority);
    return size;
}

} // namespace

extern "C" const bench_system bench_boost_queue;
const bench_system bench_boost_queue = {
    .name = "boost-mq",
    .can = BENCH_PAIR | BENCH_TRIP | BENCH_FLOW | BENCH_MANY,
    .largest = 0,
    .make = make,
    .join = join,
    .leave = leave,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
