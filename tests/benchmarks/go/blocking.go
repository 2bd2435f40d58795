// SPDX-License-Identifier: MIT

package main

/*
#cgo pkg-config: hiredis
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <time.h>

// A round trip as a C program makes it; -1: it failed.
static int round_trip(redisContext *c, int argc, const char **argv, const size_t *sizes) {
	redisReply *reply = redisCommandArgv(c, argc, argv, sizes);
	if (!reply) return -1;
	const int type = reply->type;
	freeReplyObject(reply);
	return type == REDIS_REPLY_ERROR ? -1 : 0;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net"
	"unsafe"
)

// blocking replays the EVALSHA of one of our decisions over hiredis: the raw round trip of the same
// program.
type blocking struct {
	c     *C.redisContext
	argv  []*C.char // in C's memory
	sizes []C.size_t
	table unsafe.Pointer
	count C.int
}

func newBlocking(ctx context.Context, s *server, c contestant) (*blocking, error) {
	decide := func() error { return c.decide(ctx, keys[0]) }
	if err := decide(); err != nil { // the first sends the program itself
		return nil, err
	}
	words, err := s.watch(decide)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(s.address)
	address, number := C.CString(host), C.int(0)
	defer C.free(unsafe.Pointer(address))
	fmt.Sscan(port, &number)
	b := &blocking{c: C.redisConnect(address, number), count: C.int(len(words))}
	if b.c == nil || b.c.err != 0 {
		return nil, errors.New("hiredis: no connection")
	}
	b.table = C.malloc(C.size_t(len(words)) * C.size_t(unsafe.Sizeof(uintptr(0))))
	b.argv = unsafe.Slice((**C.char)(b.table), len(words))
	for i, w := range words {
		b.argv[i] = (*C.char)(C.CBytes([]byte(w)))
		b.sizes = append(b.sizes, C.size_t(len(w)))
	}
	return b, nil
}

func (b *blocking) run(context.Context, string) error {
	if C.round_trip(b.c, b.count, &b.argv[0], &b.sizes[0]) < 0 {
		return errors.New("hiredis: the EVALSHA failed")
	}
	return nil
}

func (b *blocking) close() {
	C.redisFree(b.c)
	for _, word := range b.argv {
		C.free(unsafe.Pointer(word))
	}
	C.free(b.table)
}
