/* pipc: shows what there is, removes by name, clears away what the dead left. Only the public API is used. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const char help[] = "usage: pipc list [--json]\n"
                           "       pipc show NAME [--kind KIND] [--json]\n"
                           "       pipc remove NAME [--kind KIND]\n"
                           "       pipc gc [--dry-run]\n"
                           "       pipc --help | --version\n"
                           "\n"
                           "list    every queue, shared memory and channel that can be seen, and what is left\n"
                           "        of them\n"
                           "show    all that is known of those with this name\n"
                           "remove  removes one by its name, as its programs would\n"
                           "gc      reaps what is proven to be left by the dead and is this user's; what is\n"
                           "        ready stays, however unused, and so does what cannot be judged;\n"
                           "        --dry-run only says what it would reap\n"
                           "\n"
                           "-k, --kind KIND   queue, channel, or shm for shared memory\n"
                           "-j, --json        an array of objects, for programs\n"
                           "-n, --dry-run     change nothing\n"
                           "--                what follows is a name, even if it begins with -\n"
                           "\n"
                           "Exit status: 0 done, 1 failed (or nothing of that name, or something could not be\n"
                           "reaped), 2 wrong usage.\n";

struct options {
    bool json, dry_run, help, version;
    uint32_t kind;
};

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("pipc: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static int misuse(const char *what)
{
    complain("%s; try: pipc --help", what);
    return STATUS_USAGE;
}

static bool take_kind(const char *word, struct options *options)
{
    for (uint32_t kind = PIPC_KIND_QUEUE; kind <= PIPC_KIND_CHANNEL; kind++)
        if (strcmp(word, word_of_kind(kind)) == 0)
            options->kind = kind;
    return options->kind != 0;
}

/* False: not ours, and getopt has said so, or the kind is none. */
static bool take_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"json", no_argument, NULL, 'j'}, {"dry-run", no_argument, NULL, 'n'}, {"kind", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "jnk:hV", known, NULL)) != -1;) {
        switch (option) {
        case 'j':
            options->json = true;
            break;
        case 'n':
            options->dry_run = true;
            break;
        case 'h':
            options->help = true;
            break;
        case 'V':
            options->version = true;
            break;
        case 'k':
            if (take_kind(optarg, options))
                break;
            /* fall through */
        default:
            return false;
        }
    }
    return true;
}

static int tell_version(void)
{
    pipc_facts facts;
    pipc_library_facts(&facts);
    printf("pipc %s, %s backend, %s platform\n", facts.version, facts.backend, facts.platform);
    return STATUS_OK;
}

static int run(int count, char **words, const struct options *options)
{
    const char *command = count > 0 ? words[0] : "", *name = count > 1 ? words[1] : NULL;
    bool with_name = strcmp(command, "show") == 0 || strcmp(command, "remove") == 0;
    bool alone = strcmp(command, "list") == 0 || strcmp(command, "gc") == 0;
    if (!with_name && !alone)
        return misuse(count ? "no such command" : "a command is missing");
    if (count != (with_name ? 2 : 1))
        return misuse(with_name ? "one name is wanted" : "too many words");
    bool is_gc = strcmp(command, "gc") == 0, is_remove = strcmp(command, "remove") == 0;
    if ((options->dry_run && !is_gc) || (options->kind && alone) || (options->json && (is_gc || is_remove)))
        return misuse("this command does not take that option");
    if (is_gc)
        return command_gc(options->dry_run);
    if (is_remove)
        return command_remove(name, options->kind);
    return with_name ? command_show(name, options->kind, options->json) : command_list(options->json);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int status = STATUS_OK;
    if (!take_options(argc, argv, &options))
        status = misuse("that is no option, or no value for it");
    else if (options.help)
        fputs(help, stdout);
    else if (options.version)
        status = tell_version();
    else
        status = run(argc - optind, argv + optind, &options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("the output could not be written");
        return STATUS_FAILURE;
    }
    return status;
}
