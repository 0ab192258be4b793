// Kernels for measuring what metering costs: each export does a fixed amount of
// work n times and returns a checksum. No library is needed:
//
//	clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o kernels.wasm kernels.c
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))

void *memcpy(void *restrict to, const void *restrict from, unsigned long n) {
  char *t = to;
  const char *f = from;
  while (n--) *t++ = *f++;
  return to;
}

void *memset(void *to, int c, unsigned long n) {
  char *t = to;
  while (n--) *t++ = (char)c;
  return to;
}

static uint32_t seed;
static uint32_t next(void) { return seed = seed * 1664525 + 1013904223; }

static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

EXPORT("fib") uint32_t run_fib(uint32_t n) {
  uint32_t sum = 0;
  while (n--) sum += fib(25);
  return sum;
}

#define M 96
static double a[M][M], b[M][M], c[M][M];

EXPORT("matmul") uint32_t run_matmul(uint32_t n) {
  for (int i = 0; i < M; i++)
    for (int j = 0; j < M; j++) a[i][j] = i + j, b[i][j] = i - j;
  double sum = 0;
  while (n--) {
    for (int i = 0; i < M; i++)
      for (int j = 0; j < M; j++) {
        double s = 0;
        for (int k = 0; k < M; k++) s += a[i][k] * b[k][j];
        c[i][j] = s;
      }
    sum += c[3][5];
  }
  return (uint32_t)(int64_t)sum;
}

static uint32_t items[4096];

static void quicksort(uint32_t *x, int n) {
  while (n > 1) {
    uint32_t p = x[n / 2];
    int i = 0, j = n - 1;
    while (i <= j) {
      while (x[i] < p) i++;
      while (x[j] > p) j--;
      if (i <= j) {
        uint32_t t = x[i];
        x[i++] = x[j];
        x[j--] = t;
      }
    }
    quicksort(x, j + 1);
    x += i;
    n -= i;
  }
}

EXPORT("sort") uint32_t run_sort(uint32_t n) {
  uint32_t sum = 0;
  seed = 1;
  while (n--) {
    for (int i = 0; i < 4096; i++) items[i] = next();
    quicksort(items, 4096);
    sum += items[17];
  }
  return sum;
}

static double root(double x) { return __builtin_sqrt(x); }

struct body { double p[3], v[3], m; };
static struct body sky[5];

EXPORT("nbody") uint32_t run_nbody(uint32_t n) {
  for (int i = 0; i < 5; i++) {
    for (int k = 0; k < 3; k++) sky[i].p[k] = i * 3 + k, sky[i].v[k] = (i - 2) * 0.01 * k;
    sky[i].m = 1 + i;
  }
  for (n *= 1000; n--;) {
    for (int i = 0; i < 5; i++)
      for (int j = i + 1; j < 5; j++) {
        double d[3], q = 0;
        for (int k = 0; k < 3; k++) d[k] = sky[i].p[k] - sky[j].p[k], q += d[k] * d[k];
        double f = 0.001 / (q * root(q));
        for (int k = 0; k < 3; k++) sky[i].v[k] -= d[k] * sky[j].m * f, sky[j].v[k] += d[k] * sky[i].m * f;
      }
    for (int i = 0; i < 5; i++)
      for (int k = 0; k < 3; k++) sky[i].p[k] += 0.001 * sky[i].v[k];
  }
  return (uint32_t)(int64_t)(sky[0].p[0] * 1e6);
}

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t state[8];
static uint8_t block[4096];
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))

static void compress(const uint8_t *p) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++) w[i] = p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t x = w[i - 15], y = w[i - 2];
    w[i] = w[i - 16] + (ROR(x, 7) ^ ROR(x, 18) ^ x >> 3) + w[i - 7] + (ROR(y, 17) ^ ROR(y, 19) ^ y >> 10);
  }
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int i = 0; i < 64; i++) {
    uint32_t e = s[4], x = s[0];
    uint32_t t = s[7] + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + K[i] + w[i];
    uint32_t u = (ROR(x, 2) ^ ROR(x, 13) ^ ROR(x, 22)) + ((x & s[1]) ^ (x & s[2]) ^ (s[1] & s[2]));
    s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t, s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t + u;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

EXPORT("sha256") uint32_t run_sha256(uint32_t n) {
  for (int i = 0; i < 4096; i++) block[i] = (uint8_t)i;
  for (int i = 0; i < 8; i++) state[i] = K[i];
  while (n--)
    for (int i = 0; i < 4096; i += 64) compress(block + i);
  return state[0];
}

// A value of JSON text is skipped recursively, its numbers are added up.
static const char *text;
static uint32_t total;

static void blank(void) {
  while (*text == ' ' || *text == '\n') text++;
}

static void value(void) {
  blank();
  switch (*text) {
  case '{':
  case '[':
    text++;
    for (;;) {
      blank();
      if (*text == '}' || *text == ']') break;
      if (*text == ',' || *text == ':') {
        text++;
        continue;
      }
      value();
    }
    text++;
    return;
  case '"':
    while (*++text != '"')
      if (*text == '\\') text++;
    text++;
    return;
  default: {
    uint32_t n = 0;
    if (*text == '-') text++;
    if (*text < '0' || *text > '9') {
      while (*text >= 'a' && *text <= 'z') text++;
      return;
    }
    while (*text >= '0' && *text <= '9') n = n * 10 + (uint32_t)(*text++ - '0');
    total += n;
  }
  }
}

static const char document[] =
    "{\"id\": 17, \"name\": \"a \\\"quoted\\\" name\", \"tags\": [\"x\", \"yy\", \"zzz\"], \"on\": true, \"off\": null,\n"
    " \"points\": [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]], \"nested\": {\"a\": {\"b\": {\"c\": [{}, [], -12345]}}},\n"
    " \"text\": \"the quick brown fox jumps over the lazy dog and runs away into the forest behind the hills\"}";

EXPORT("json") uint32_t run_json(uint32_t n) {
  total = 0;
  for (n *= 100; n--;) {
    text = document;
    value();
  }
  return total;
}
