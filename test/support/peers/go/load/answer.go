package main

import (
	"bytes"
	"errors"
	"strconv"
)

// answer reads one HTTP/1.1 response after another off a connection; it keeps counts, not bytes.
type answer struct {
	head      []byte // what has come of the head so far
	status    int
	remaining int64 // of the body, or of the chunk
	phase     phase
	closes    bool // the server closes the connection after it
	bytes     int64
}

type phase int

const (
	inHead phase = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
)

var (
	blank       = []byte("\r\n\r\n")
	errNotHTTP  = errors.New("not an HTTP/1.1 answer")
	errUnframed = errors.New("an answer without a length")
	errExcess   = errors.New("bytes after the answer")
)

const headMax = 64 << 10

// feed takes what was read; true when the answer is whole. Bytes beyond it are a fault: nothing more was asked for.
func (a *answer) feed(b []byte) (bool, error) {
	for len(b) > 0 {
		switch a.phase {
		case inHead:
			rest, err := a.feedHead(b)
			if err != nil {
				return false, err
			}
			b = rest
			if a.phase == inBody && a.remaining == 0 {
				return a.finish(b)
			}
		case inBody, inChunk, inChunkEnd:
			n := min(int64(len(b)), a.remaining)
			a.remaining -= n
			if a.phase != inChunkEnd {
				a.bytes += n
			}
			b = b[n:]
			if a.remaining > 0 {
				continue
			}
			if a.phase == inBody {
				return a.finish(b)
			}
			if a.phase == inChunk {
				a.phase, a.remaining = inChunkEnd, 2
			} else {
				a.phase = inChunkSize
			}
		case inChunkSize, inTrailer:
			line, rest := a.takeLine(b)
			b = rest
			if line == nil {
				continue
			}
			if a.phase == inTrailer {
				if len(line) == 0 {
					return a.finish(b)
				}
				continue
			}
			if semicolon := bytes.IndexByte(line, ';'); semicolon >= 0 {
				line = line[:semicolon]
			}
			size, err := strconv.ParseInt(string(line), 16, 64)
			if err != nil || size < 0 {
				return false, errNotHTTP
			}
			if a.phase, a.remaining = inChunk, size; size == 0 {
				a.phase = inTrailer
			}
		}
	}
	return false, nil
}

// takeLine gives the line without its end, nil when it has not all come.
func (a *answer) takeLine(b []byte) ([]byte, []byte) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		a.head = append(a.head, b...)
		return nil, nil
	}
	line := append(a.head, b[:end]...)
	a.head = a.head[:0]
	return bytes.TrimSuffix(line, []byte("\r")), b[end+1:]
}

func (a *answer) feedHead(b []byte) ([]byte, error) {
	before := len(a.head)
	a.head = append(a.head, b...)
	end := bytes.Index(a.head, blank)
	if end < 0 {
		if len(a.head) > headMax {
			return nil, errNotHTTP
		}
		return nil, nil
	}
	rest := b[end+len(blank)-before:]
	head := a.head[:end]
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return nil, errNotHTTP
	}
	status, err := strconv.Atoi(string(head[9:12]))
	if err != nil {
		return nil, errNotHTTP
	}
	a.status, a.closes = status, false
	length, chunked := int64(-1), false
	for _, line := range bytes.Split(head, []byte("\r\n"))[1:] {
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return nil, errNotHTTP
		}
		name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return nil, errNotHTTP
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	a.head = a.head[:0]
	switch {
	case status < 200: // an interim answer: the real one follows
	case status == 204 || status == 304:
		a.phase, a.remaining = inBody, 0
	case chunked:
		a.phase = inChunkSize
	case length >= 0:
		a.phase, a.remaining = inBody, length
	default:
		return nil, errUnframed
	}
	return rest, nil
}

func (a *answer) finish(rest []byte) (bool, error) {
	a.phase = inHead
	if len(rest) > 0 {
		return false, errExcess
	}
	return true, nil
}
