/* The kernel counts in ticks, so that a small share of a short trial is not seen. */
#include "bench/runner/noise.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/runner/runner.h"

#define LOOPS  200000
#define FIELDS 8 /* user, nice, system, idle, iowait, irq, softirq, steal */
#define NS     1e9

/* Adds the times of one processor of /proc/stat if it is one of the first that we may use. */
static void add_line(const char *line, const cpu_set_t *ours, double *busy, double *stolen)
{
    unsigned cpu;
    unsigned long long t[FIELDS] = {0};
    if (sscanf(line, "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &cpu, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5],
               &t[6], &t[7]) != 1 + FIELDS ||
        cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, ours))
        return;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    *busy += (double)(t[0] + t[1] + t[2] + t[5] + t[6]) * tick;
    *stolen += (double)t[7] * tick;
}

static void read_times(uint32_t cores, double *busy, double *stolen)
{
    cpu_set_t ours;
    char line[512];
    *busy = *stolen = 0;
    if (sched_getaffinity(0, sizeof(ours), &ours) == -1)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &ours) && cores-- == 0)
            for (cores = 0; cpu < CPU_SETSIZE; cpu++)
                CPU_CLR(cpu, &ours);
    FILE *file = fopen("/proc/stat", "r");
    while (file && fgets(line, sizeof(line), file))
        add_line(line, &ours, busy, stolen);
    if (file)
        fclose(file);
}

static double fixed_work(void)
{
    int64_t start = bench_now();
    uint64_t value = 1;
    for (int i = 0; i < LOOPS; i++)
        value = value * UINT64_C(6364136223846793005) + 1442695040888963407u;
    __asm__ volatile("" : : "r"(value));
    return (double)(bench_now() - start);
}

void bench_noise_begin(struct bench_noise *noise, uint32_t cores)
{
    noise->cores = cores;
    noise->loop = fixed_work();
    noise->began = bench_now();
    read_times(cores, &noise->busy, &noise->stolen);
}

void bench_noise_end(const struct bench_noise *noise, uint64_t used, uint64_t waited)
{
    double busy, stolen, whole = (double)(bench_now() - noise->began) / NS * noise->cores;
    read_times(noise->cores, &busy, &stolen);
    double ticks = (double)noise->cores / (double)sysconf(_SC_CLK_TCK);
    double others = busy - noise->busy - (double)used / NS - ticks;
    others = others > (double)waited / NS ? others : (double)waited / NS;
    double loop = fixed_work();
    printf("noise others %.6f\n", others > 0 ? others / whole : 0);
    printf("noise stolen %.6f\n", (stolen - noise->stolen) / whole);
    printf("noise loop %.0f\n", loop > noise->loop ? loop : noise->loop);
}
