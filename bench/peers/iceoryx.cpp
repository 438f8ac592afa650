/* iceoryx: a publisher and a subscriber that loses nothing. Polls, or sleeps in a wait set if told to. Its daemon RouDi
 * is started for the trial, with chunks of the one size that is needed. */
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peers/patience.h"
#include "bench/system.h"
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

namespace
{

using namespace iox;

struct Peer {
    bench_setup setup;
    uint64_t depth;
    popo::UntypedPublisher *publisher;
    popo::UntypedSubscriber *subscriber;
    popo::WaitSet<> *waits;
    void *sent;
    const void *taken;
};

pid_t roudi;
int links;

/* ---- the daemon ---- */

void write_config(const char *path, const bench_setup *setup)
{
    FILE *file = fopen(path, "w");
    if (!file)
        bench_fail("%s", path);
    fprintf(file, "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = %zu\ncount = %u\n",
            (setup->size + 127) / 64 * 64, setup->size > 32768 ? 64u : 2048u);
    fclose(file);
}

void start_roudi(const bench_setup *setup)
{
    char path[96];
    snprintf(path, sizeof(path), "/tmp/%s.toml", setup->name);
    write_config(path, setup);
    int ends[2];
    if (pipe(ends) == -1 || (roudi = fork()) == -1)
        bench_fail("fork");
    if (roudi == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execlp("iox-roudi", "iox-roudi", "-m", "off", "-c", path, static_cast<char *>(nullptr));
        _exit(127);
    }
    close(ends[1]);
    char text[4096] = "";
    size_t size = 0;
    for (ssize_t n = 1; n > 0 && size < sizeof(text) - 1 && !strstr(text, "ready");) {
        n = read(ends[0], text + size, sizeof(text) - 1 - size);
        size += n > 0 ? static_cast<size_t>(n) : 0;
        text[size] = '\0';
    }
    unlink(path);
    if (!strstr(text, "ready"))
        bench_die("iox-roudi does not start: %.200s", text);
}

void stop_roudi()
{
    kill(roudi, SIGTERM);
    waitpid(roudi, nullptr, 0);
}

/* ---- the link ---- */

void *make(const bench_setup *setup)
{
    auto *link = static_cast<Peer *>(bench_allocate(sizeof(Peer)));
    link->setup = *setup;
    link->depth = setup->size > 32768 ? 8 : 256;
    if (links++ == 0)
        start_roudi(setup);
    return link;
}

void destroy(void *link)
{
    if (--links == 0)
        stop_roudi();
    free(link);
}

template <class Text> Text text_of(const char *text)
{
    return Text(cxx::TruncateToCapacity, text, strlen(text));
}

void subscribe(Peer *peer, const capro::ServiceDescription &service)
{
    popo::SubscriberOptions options;
    options.queueCapacity = peer->depth;
    options.queueFullPolicy = popo::QueueFullPolicy::BLOCK_PRODUCER;
    peer->subscriber = new popo::UntypedSubscriber(service, options);
    if (peer->setup.sleep) {
        peer->waits = new popo::WaitSet<>;
        peer->waits->attachState(*peer->subscriber, popo::SubscriberState::HAS_DATA).or_else([](auto) {
            bench_die("iceoryx: attachState");
        });
    }
}

void publish(Peer *peer, const capro::ServiceDescription &service)
{
    popo::PublisherOptions options;
    options.subscriberTooSlowPolicy = popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    peer->publisher = new popo::UntypedPublisher(service, options);
    while (!peer->publisher->hasSubscribers())
        usleep(100);
}

void join(void *link, bench_role role)
{
    static bool known;
    auto *peer = static_cast<Peer *>(link);
    char name[32];
    snprintf(name, sizeof(name), "bench-%d", static_cast<int>(getpid()));
    log::LogManager::GetLogManager().SetDefaultLogLevel(log::LogLevel::kOff, log::LogLevelOutput::kHideLogLevel);
    if (!known)
        runtime::PoshRuntime::initRuntime(text_of<RuntimeName_t>(name));
    known = true;
    capro::ServiceDescription service("bench", "link", text_of<capro::IdString_t>(peer->setup.name));
    if (role & BENCH_RECEIVER)
        subscribe(peer, service);
    else
        publish(peer, service);
}

void leave(void *link)
{
    auto *peer = static_cast<Peer *>(link);
    delete peer->waits;
    delete peer->subscriber;
    delete peer->publisher;
}

/* ---- messages ---- */

void *reserve(void *link, size_t size)
{
    auto *peer = static_cast<Peer *>(link);
    for (unsigned looks = 0;; look_again(&looks)) {
        auto loan = peer->publisher->loan(static_cast<uint32_t>(size), 64);
        if (!loan.has_error())
            return peer->sent = loan.value();
        if (loan.get_error() != popo::AllocationError::RUNNING_OUT_OF_CHUNKS)
            bench_die("iceoryx: loan");
    }
}

void commit(void *link, size_t)
{
    auto *peer = static_cast<Peer *>(link);
    peer->publisher->publish(peer->sent);
}

const void *peek(void *link, size_t *size)
{
    auto *peer = static_cast<Peer *>(link);
    for (unsigned looks = 0;; look_again(&looks)) {
        auto taken = peer->subscriber->take();
        if (!taken.has_error()) {
            peer->taken = taken.value();
            *size = mepoo::ChunkHeader::fromUserPayload(peer->taken)->userPayloadSize();
            return peer->taken;
        }
        if (taken.get_error() != popo::ChunkReceiveResult::NO_CHUNK_AVAILABLE)
            bench_die("iceoryx: take");
        if (peer->waits)
            peer->waits->wait();
    }
}

void release(void *link)
{
    auto *peer = static_cast<Peer *>(link);
    peer->subscriber->release(peer->taken);
}

void send(void *link, void *data, size_t size, uint32_t)
{
    memcpy(reserve(link, size), data, size);
    commit(link, size);
}

size_t receive(void *link, void *buffer, size_t room, uint32_t)
{
    size_t size;
    const void *message = peek(link, &size);
    memcpy(buffer, message, size < room ? size : room);
    release(link);
    return size;
}

} // namespace

extern "C" const bench_system bench_iceoryx;
const bench_system bench_iceoryx = {
    .name = "iceoryx",
    .can = BENCH_TRIP | BENCH_FLOW | BENCH_MANY | BENCH_PLACE | BENCH_PATIENT,
    .largest = 0,
    .make = make,
    .join = join,
    .leave = leave,
    .destroy = destroy,
    .send = send,
    .receive = receive,
    .reserve = reserve,
    .commit = commit,
    .peek = peek,
    .release = release,
    .memory = nullptr,
};
