/*
 * Device strings: "net_tap0,iface=dtap0", "0000:03:00.0", ... Taken apart, checked for syntax and
 * checked against the system before DPDK sees them, so that what is wrong is said in one line that
 * names the device and what to do. Also what the library knows about each driver. No DPDK in here.
 */
#ifndef MTCP_IO_IO_DEVSTR_H
#define MTCP_IO_IO_DEVSTR_H

#include "mtcp/base/bug.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IO_DEV_NAME_MAX 64
#define IO_DEV_STR_MAX  512

/* What an idle loop can wait on. */
enum io_wake {
    IO_WAKE_NONE,  /* nothing: it naps */
    IO_WAKE_INTR,  /* the driver's receive interrupts */
    IO_WAKE_SOCKET /* the driver's socket, found among the process's descriptors */
};

struct io_devstr;

/* What the library knows of a driver. */
struct io_driver {
    const char *name; /* "net_tap"; a device is this and a suffix: "net_tap0" */
    const char *keys; /* the arguments it takes, separated by blanks; NULL: not known */
    enum io_wake wake;
    int wake_family;    /* IO_WAKE_SOCKET: the socket's address family */
    uint16_t n_rxd;     /* number of receive descriptors, whatever is asked for; 0: any */
    bool soft_csum;     /* "offers" checksums that it computes in software: ours are faster */
    bool kernel_side;   /* its address is the kernel's end of the wire: ours must differ */
    bool kernel_iface;  /* `iface=` is a kernel interface whose MTU is the device's */
    bool mtu_free;      /* carries frames beyond the MTU that it admits to */
    bool async_signal;  /* would have the kernel send a signal per frame, unless prevented */
    bool tso_one_piece; /* with segmentation offload takes 64 KB in one piece */
    bool is_own;        /* io_tap.c's: DPDK has no part in it */
    const char *q_arg;  /* argument for the number of queues, added when missing */
    /* Has the system what the device needs? 0 or -errno with a line in err. */
    int (*check)(const struct io_devstr *dev, char *err, size_t err_len);
};

struct io_devstr {
    char text[IO_DEV_STR_MAX]; /* as DPDK gets it */
    char name[IO_DEV_NAME_MAX];
    const struct io_driver *drv; /* never NULL; for a driver not known here a neutral one */
    bool is_pci;                 /* name is a PCI address in its long form */
};

/* Takes a string apart. 0, or -EINVAL with a line in err. */
MUST_CHECK int io_devstr_parse(struct io_devstr *dev, const char *text, char *err, size_t err_len);

/* Asks the system for what the device needs (permission, interface, file, peer), without leaving
 * anything behind. 0, or -errno with a line in err. */
MUST_CHECK int io_devstr_check(const struct io_devstr *dev, char *err, size_t err_len);

/* The MTU of the kernel interface beneath; 0 when there is none or it can't be told. */
uint32_t io_devstr_kernel_mtu(const struct io_devstr *dev);

/* Arguments that are better given than left to the driver: queues, room for an MTU above 1500 (0:
 * any). 0, or -ENAMETOOLONG. */
MUST_CHECK int io_devstr_complete(struct io_devstr *dev, unsigned n_queues, uint32_t mtu);

/* What follows the name and its comma; "" when there is nothing. */
const char *io_devstr_args(const struct io_devstr *dev);

/* The value of an argument; false when it is absent or does not fit. */
bool io_devstr_arg(const struct io_devstr *dev, const char *key, char *value, size_t value_len);

/* The same as a number; 0 when it is absent or none. */
uint32_t io_devstr_number(const struct io_devstr *dev, const char *key);

/* The kernel interface of a device of our own: `iface=`, or else its name. */
void io_devstr_iface(const struct io_devstr *dev, char *iface, size_t len);

/* Appends ",key=value" unless the key is there. 0 or -ENAMETOOLONG. */
MUST_CHECK int io_devstr_add(struct io_devstr *dev, const char *key, uint32_t value);

#endif
