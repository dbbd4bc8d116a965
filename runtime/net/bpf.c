/*
** Classic BPF, run here over the bytes of a packet as the kernel runs it over those
** of a socket.
**
** Nothing of a program is taken on trust: jumps only go forward, so each program
** ends; what it asks for beyond the packet, its scratch words or itself ends it, and
** the packet does not pass.
*/

#include <lauxlib.h>
#include <linux/filter.h>
#include <string.h>

#include "net/backend.h"
#include "net/functions.h"

typedef struct machine {
  const unsigned char *bytes;
  size_t size;     /* of what is there */
  uint32_t length; /* of the packet */
  uint32_t a, x, scratch[BPF_MEMWORDS];
} machine;


/* Big-endian; false: not there. */
static bool fetch(const machine *m, uint64_t at, size_t n, uint32_t *value) {
  if (at + n > m->size)
    return false;
  *value = 0;
  for (size_t i = 0; i < n; i++)
    *value = *value << 8 | m->bytes[at + i];
  return true;
}


static size_t size_of(uint16_t code) {
  return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}


/* What the kernel keeps beside a packet is 0: all is in the bytes. */
static bool is_beside(uint32_t k) {
  return k == (uint32_t)SKF_AD_OFF + SKF_AD_VLAN_TAG ||
         k == (uint32_t)SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT;
}


static bool load(const machine *m, const bpf_instruction *i, uint32_t *to) {
  uint16_t code = i->code;
  if (BPF_MODE(code) == BPF_IMM)
    *to = i->k;
  else if (BPF_MODE(code) == BPF_LEN)
    *to = m->length;
  else if (BPF_MODE(code) == BPF_MEM && i->k < BPF_MEMWORDS)
    *to = m->scratch[i->k];
  else if (BPF_MODE(code) == BPF_ABS && is_beside(i->k))
    *to = 0;
  else if (BPF_MODE(code) == BPF_ABS)
    return fetch(m, i->k, size_of(code), to);
  else if (BPF_MODE(code) == BPF_IND)
    return fetch(m, (uint64_t)m->x + i->k, size_of(code), to);
  else
    return false;
  return true;
}


/* Into x; the length of an IPv4 header is an addressing mode of its own. */
static bool load_x(machine *m, const bpf_instruction *i) {
  if (BPF_MODE(i->code) != BPF_MSH)
    return load(m, i, &m->x);
  bool is_there = fetch(m, i->k, 1, &m->x);
  m->x = (m->x & 15) * 4;
  return is_there;
}


static bool store(machine *m, uint32_t at, uint32_t value) {
  if (at < BPF_MEMWORDS)
    m->scratch[at] = value;
  return at < BPF_MEMWORDS;
}


static uint32_t operand(const machine *m, const bpf_instruction *i) {
  return BPF_SRC(i->code) == BPF_X ? m->x : i->k;
}


static uint32_t calculated(uint16_t op, uint32_t a, uint32_t b) {
  switch (op) {
  case BPF_ADD:
    return a + b;
  case BPF_SUB:
    return a - b;
  case BPF_MUL:
    return a * b;
  case BPF_DIV:
    return a / b;
  case BPF_MOD:
    return a % b;
  case BPF_OR:
    return a | b;
  case BPF_AND:
    return a & b;
  case BPF_XOR:
    return a ^ b;
  case BPF_LSH:
    return b < 32 ? a << b : 0;
  case BPF_RSH:
    return b < 32 ? a >> b : 0;
  default:
    return 0 - a; /* BPF_NEG */
  }
}


static bool calculate(machine *m, const bpf_instruction *i) {
  uint16_t op = BPF_OP(i->code);
  uint32_t b = operand(m, i);
  if (b == 0 && (op == BPF_DIV || op == BPF_MOD))
    return false;
  m->a = calculated(op, m->a, b);
  return true;
}


/* How many instructions are left out. */
static uint32_t jump(const machine *m, const bpf_instruction *i) {
  uint32_t b = operand(m, i);
  bool holds = false;
  switch (BPF_OP(i->code)) {
  case BPF_JA:
    return i->k;
  case BPF_JEQ:
    holds = m->a == b;
    break;
  case BPF_JGT:
    holds = m->a > b;
    break;
  case BPF_JGE:
    holds = m->a >= b;
    break;
  case BPF_JSET:
    holds = (m->a & b) != 0;
    break;
  default:
    break;
  }
  return holds ? i->jt : i->jf;
}


/* What is neither a jump nor the end. */
static bool step(machine *m, const bpf_instruction *i) {
  switch (BPF_CLASS(i->code)) {
  case BPF_LD:
    return load(m, i, &m->a);
  case BPF_LDX:
    return load_x(m, i);
  case BPF_ST:
    return store(m, i->k, m->a);
  case BPF_STX:
    return store(m, i->k, m->x);
  case BPF_ALU:
    return calculate(m, i);
  case BPF_MISC:
    if (BPF_MISCOP(i->code) == BPF_TAX)
      m->x = m->a;
    else
      m->a = m->x;
    return true;
  default:
    return false;
  }
}


/* How many bytes of the packet pass. */
static uint32_t run(machine *m, const char *program, size_t count) {
  bpf_instruction i;
  for (size_t at = 0; at < count; at++) {
    memcpy(&i, program + at * sizeof i, sizeof i);
    if (BPF_CLASS(i.code) == BPF_RET)
      return BPF_RVAL(i.code) == BPF_A ? m->a : i.k;
    if (BPF_CLASS(i.code) == BPF_JMP)
      at += jump(m, &i);
    else if (!step(m, &i))
      return 0;
  }
  return 0;
}


/*
** match(program, bytes, length?) : boolean
*/

int match_lua(lua_State *L) {
  machine m = {.a = 0};
  size_t n;
  const char *program = luaL_checklstring(L, 1, &n);
  m.bytes = (const unsigned char *)luaL_checklstring(L, 2, &m.size);
  m.length = (uint32_t)luaL_optinteger(L, 3, (lua_Integer)m.size);
  lua_pushboolean(L, run(&m, program, n / sizeof(bpf_instruction)) != 0);
  return 1;
}
