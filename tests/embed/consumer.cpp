// consumer BACKEND NAME: uses a little of everything, in C++11, and answers 0 if it worked.
#include <pipc/pipc.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

static int use_queue(const std::string &name)
{
    pipc_queue *queue = nullptr;
    pipc_queue_options options = {};
    options.max_messages = 4;
    options.max_size = 64;
    std::string text = "embedded";
    std::vector<char> buffer(64);
    pipc_message out = {}, in = {};
    out.type = 7;
    out.data = &text[0];
    out.size = text.size();
    in.data = buffer.data();
    in.size = buffer.size();
    int error = pipc_queue_open(&queue, name.c_str(), PIPC_CREATE | PIPC_EXCLUSIVE, &options);
    if (!error)
        error = pipc_queue_send(queue, &out, PIPC_NOWAIT);
    if (!error)
        error = pipc_queue_receive(queue, pipc_except(8), &in, PIPC_MS(5000));
    if (!error && std::string(buffer.data(), in.size) != text)
        error = PIPC_E_SYSTEM;
    pipc_queue_close(queue);
    pipc_queue_remove(name.c_str());
    return error;
}

static int use_shm(const std::string &name)
{
    pipc_shm *shm = nullptr;
    pipc_shm_options options = {};
    options.size = sizeof(pipc_event);
    void *address = nullptr;
    uint32_t value = 0;
    int error = pipc_shm_open(&shm, name.c_str(), PIPC_CREATE | PIPC_EXCLUSIVE, &options);
    if (!error)
        error = pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address);
    if (!error)
        error = pipc_event_set(static_cast<pipc_event *>(address), 5, PIPC_WAKE_ONE);
    if (!error)
        error = pipc_event_get(static_cast<pipc_event *>(address), &value);
    pipc_shm_close(shm);
    pipc_shm_remove(name.c_str());
    return error ? error : value != 5;
}

int main(int count, char **words)
{
    pipc_facts facts;
    if (count != 3 || pipc_library_facts(&facts) || std::strcmp(facts.backend, words[1]) != 0)
        return 2;
    if (use_queue(words[2]) || use_shm(words[2])) {
        std::fprintf(stderr, "%s\n", pipc_error_detail());
        return 1;
    }
    return 0;
}
