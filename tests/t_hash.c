/* SipHash against published vectors: key 00 01 … 0f, message 00 01 … of every length. */
#include "tests/test.h"

#include "mtcp/base/hash.h"
#include "mtcp/base/rng.h"

#include <string.h>

static const struct hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

/* The authors' vectors for SipHash-2-4, lengths 0 to 23, 32 and 63. */
static const struct {
    unsigned len;
    uint64_t hash;
} sip24[] = {
    {0, 0x726fdb47dd0e0e31u},  {1, 0x74f839c593dc67fdu},  {2, 0x0d6c8009d9a94f5au},
    {3, 0x85676696d7fb7e2du},  {4, 0xcf2794e0277187b7u},  {5, 0x18765564cd99a68du},
    {6, 0xcbc9466e58fee3ceu},  {7, 0xab0200f58b01d137u},  {8, 0x93f5f5799a932462u},
    {9, 0x9e0082df0ba9e4b0u},  {10, 0x7a5dbbc594ddb9f3u}, {11, 0xf4b32f46226bada7u},
    {12, 0x751e8fbc860ee5fbu}, {13, 0x14ea5627c0843d90u}, {14, 0xf723ca908e7af2eeu},
    {15, 0xa129ca6149be45e5u}, {16, 0x3f2acc7f57c29bdbu}, {17, 0x699ae9f52cbe4794u},
    {18, 0x4bc1b3f0968dd39cu}, {19, 0xbb6dc91da77961bdu}, {20, 0xbed65cf21aa2ee98u},
    {21, 0xd0f2cbb02e3b67c7u}, {22, 0x93536795e3a33e88u}, {23, 0xa80c038ccd5ccec8u},
    {32, 0x7127512f72f27cceu}, {63, 0x958a324ceb064572u},
};

static void siphash24_gives_the_published_values(void)
{
    uint8_t msg[64];
    for (unsigned i = 0; i < sizeof(msg); i++)
        msg[i] = (uint8_t)i;
    for (unsigned i = 0; i < sizeof(sip24) / sizeof(sip24[0]); i++)
        EXPECT_EQ(hash_siphash24(&key, msg, sip24[i].len), sip24[i].hash);
}

/* Lengths 0 and 1: Rust's SipHasher13; the text: CPython 3.11 with PYTHONHASHSEED=0 (key zero). */
static void siphash13_gives_the_published_values(void)
{
    static const struct hash_key zero = {0, 0};
    EXPECT_EQ(hash_siphash13(&key, "", 0), 0xabac0158050fc4dcu);
    EXPECT_EQ(hash_siphash13(&key, "", 1), 0xc9f49bf37d57ca93u);
    EXPECT_EQ(hash_siphash13(&zero, "abcdefg", 7), 7904145750247929094);
    EXPECT_EQ(hash_siphash13(&zero, "0123456789abcdef", 16), 2108444454683020324);
    EXPECT_EQ(hash_siphash13(&zero, "hello world, this is longer", 27), -3483295518001240135);
}

static void reads_unaligned_bytes(void)
{
    char buf[40];
    for (unsigned i = 0; i < 8; i++) {
        memcpy(buf + i, "hello world, this is longer", 27);
        EXPECT_EQ(hash_siphash13(&key, buf + i, 27),
                  hash_siphash13(&key, "hello world, this is longer", 27));
    }
}

/* Microsoft's verification suite: 66.9.149.187:2794 to 161.142.100.80:1766. */
static void toeplitz_gives_the_published_values(void)
{
    static const uint8_t secret[HASH_TOEPLITZ_KEY] = {
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
        0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
        0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    static const uint8_t in[12] = {66, 9, 149, 187, 161, 142, 100, 80, 10, 234, 6, 230};
    struct hash_toeplitz h;
    hash_toeplitz_init(&h, secret);
    EXPECT_EQ(hash_toeplitz(&h, in, 12), 0x51ccc178);
    EXPECT_EQ(hash_toeplitz(&h, in, 8), 0x323e8fc2);
}

/* Where the rank is full every value of the low bits has a port; where it is not, it is said. */
static void toeplitz_keys_that_leave_ports_out_are_found(void)
{
    uint8_t secret[HASH_TOEPLITZ_KEY];
    struct hash_toeplitz h;
    struct rng rng;
    unsigned n_good = 0;
    rng_init(&rng, test_seed());
    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned k = 0; k < sizeof(secret); k++)
            secret[k] = (uint8_t)rng_u32(&rng);
        hash_toeplitz_init(&h, secret);
        n_good += hash_toeplitz_has_ports(&h, 6);
        bool seen[64] = {false};
        unsigned n_seen = 0;
        uint8_t in[12] = {10, 0, 0, 1, 10, 0, 0, 2};
        for (unsigned port = 0; port < 1u << 14; port++) {
            in[10] = (uint8_t)(port >> 8);
            in[11] = (uint8_t)port;
            bool *at = &seen[hash_toeplitz(&h, in, 12) & 63];
            n_seen += !*at;
            *at = true;
        }
        if (hash_toeplitz_has_ports(&h, 6))
            EXPECT_EQ(n_seen, 64);
    }
    CU_ASSERT(n_good > 900);
    memset(secret, 0, sizeof(secret));
    secret[0] = 1;
    hash_toeplitz_init(&h, secret);
    CU_ASSERT_FALSE(hash_toeplitz_has_ports(&h, 1));
}

TEST_SUITE(hash, TEST_CASE(toeplitz_gives_the_published_values),
           TEST_CASE(toeplitz_keys_that_leave_ports_out_are_found),
           TEST_CASE(siphash24_gives_the_published_values),
           TEST_CASE(siphash13_gives_the_published_values), TEST_CASE(reads_unaligned_bytes));
