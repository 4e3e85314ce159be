/* Signals that end blocking calls, and the core of a thread. */
#include "mtcp/sock/life.h"

#include <sched.h>
#include <signal.h>

/* What the program wants called. Signal handlers have nowhere else to look. */
static _Atomic(mtcp_sighandler_t) handlers[NSIG];
static _Thread_local volatile sig_atomic_t n_handling;

static void on_signal(int signum)
{
    int saved = errno;
    ctx_interrupt_all(CTX_INT_SIGNAL);
    n_handling = n_handling + 1;
    mtcp_sighandler_t user = atomic_load(&handlers[signum]);
    if (user && user != SIG_IGN)
        user(signum);
    n_handling = n_handling - 1;
    errno = saved;
}

bool signal_is_handled(void)
{
    return n_handling > 0;
}

mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler)
{
    struct sigaction sa = {.sa_handler = on_signal};
    if (signum <= 0 || signum >= NSIG || handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (handler == SIG_DFL || handler == SIG_IGN)
        sa.sa_handler = handler;
    sigemptyset(&sa.sa_mask);
    mtcp_sighandler_t before = atomic_exchange(&handlers[signum], handler);
    if (sigaction(signum, &sa, NULL) == 0)
        return before ? before : SIG_DFL;
    atomic_store(&handlers[signum], before);
    return SIG_ERR;
}

int mtcp_core_affinitize(int cpu)
{
    cpu_set_t set;
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return (int)sock_result(-EINVAL);
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : (int)sock_result(-EINVAL);
}
