package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// plan is what to send, to whom, and when.
type plan struct {
	address     *net.TCPAddr
	request     []byte
	connections int
	rate        float64 // per second; 0: closed loop, every connection sends as soon as it has its answer
	poisson     bool
	seed        uint64
	duration    time.Duration
	requestsMax int
}

// drainMax is how long answers are waited for after the last request was due.
const drainMax = 10 * time.Second

type connection struct {
	fd         int
	answer     answer
	intended   int64 // when the request in flight was due, ns
	unsent     []byte
	isBusy     bool
	isWatching bool // for room to write
}

// loop sends and receives on one thread: epoll for the answers, a timer descriptor for the schedule, no scheduler of
// a language in between, so that the latency it reports is not its own.
type loop struct {
	plan        plan
	epoll       int
	timer       int
	started     time.Time
	conns       map[int]*connection
	idle        []*connection
	backlog     []int64 // due, but every connection is busy: open loop keeps counting from here
	buffer      []byte
	random      *rand.Rand
	latency     histogram
	scheduleErr histogram // how late a request left although a connection was free
	statuses    map[int]int
	sent        int
	answered    int
	failed      int
	delayed     int // requests that found every connection busy
	reconnects  int
	bodyBytes   int64
	lastFault   string
	endedNs     int64
}

func newLoop(p plan) (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	const monotonic = 1
	timer, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, errno
	}
	l := &loop{
		plan: p, epoll: epoll, timer: int(timer), conns: map[int]*connection{}, statuses: map[int]int{},
		buffer: make([]byte, 256<<10), random: rand.New(rand.NewPCG(p.seed, 1)),
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(timer)}
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(timer), &event); err != nil {
		return nil, err
	}
	for range p.connections {
		if err := l.open(); err != nil {
			return nil, fmt.Errorf("cannot connect to %v: %w", p.address, err)
		}
	}
	return l, nil
}

func (l *loop) open() error {
	family := syscall.AF_INET
	var to syscall.Sockaddr
	if four := l.plan.address.IP.To4(); four != nil {
		to = &syscall.SockaddrInet4{Port: l.plan.address.Port, Addr: [4]byte(four)}
	} else {
		family = syscall.AF_INET6
		to = &syscall.SockaddrInet6{Port: l.plan.address.Port, Addr: [16]byte(l.plan.address.IP.To16())}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	// Loopback: it succeeds or is refused at once.
	if err := syscall.Connect(fd, to); err != nil {
		syscall.Close(fd)
		return err
	}
	syscall.SetNonblock(fd, true)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
		syscall.Close(fd)
		return err
	}
	c := &connection{fd: fd}
	l.conns[fd] = c
	l.idle = append(l.idle, c)
	return nil
}

func (l *loop) now() int64 { return int64(time.Since(l.started)) }

func (l *loop) run() error {
	runtime.LockOSThread()
	l.started = time.Now()
	end := int64(l.plan.duration)
	next := int64(0)
	events := make([]syscall.EpollEvent, 256)
	for {
		now := l.now()
		if l.plan.rate > 0 {
			for next <= now && next < end && l.sent+len(l.backlog) < l.plan.requestsMax {
				l.due(next)
				next += l.gap()
			}
		} else {
			for len(l.idle) > 0 && now < end && l.sent < l.plan.requestsMax {
				l.send(now)
				now = l.now()
			}
		}
		isOver := (l.plan.rate > 0 && next >= end) || now >= end || l.sent+len(l.backlog) >= l.plan.requestsMax
		open := l.sent - l.answered - l.failed + len(l.backlog)
		if isOver && (open == 0 || now > end+int64(drainMax)) {
			l.failed += open
			l.endedNs = now
			return nil
		}
		switch {
		case isOver:
			l.arm(now + int64(100*time.Millisecond))
		case l.plan.rate > 0:
			l.arm(next)
		default:
			l.arm(end)
		}
		count, err := syscall.EpollWait(l.epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, event := range events[:max(count, 0)] {
			if int(event.Fd) == l.timer {
				var ticks [8]byte
				syscall.Read(l.timer, ticks[:])
				continue
			}
			c := l.conns[int(event.Fd)]
			if c == nil {
				continue
			}
			if event.Events&syscall.EPOLLOUT != 0 && c.isBusy {
				l.write(c)
			}
			if event.Events&^uint32(syscall.EPOLLOUT) != 0 {
				if err := l.read(c); err != nil {
					return err
				}
			}
		}
	}
}

func (l *loop) gap() int64 {
	mean := 1e9 / l.plan.rate
	if l.plan.poisson {
		return int64(mean * l.random.ExpFloat64())
	}
	return int64(mean)
}

// due: one request of the schedule. Without a free connection it waits, and its latency runs from now on all the same.
func (l *loop) due(intended int64) {
	if len(l.idle) == 0 {
		l.delayed++
		l.backlog = append(l.backlog, intended)
		return
	}
	l.scheduleErr.record(l.now() - intended)
	l.send(intended)
}

func (l *loop) send(intended int64) {
	// The one used longest ago: all connections stay warm, and a proxy that spreads by connection sees all of them.
	c := l.idle[0]
	copy(l.idle, l.idle[1:])
	l.idle = l.idle[:len(l.idle)-1]
	c.intended, c.unsent, c.isBusy = intended, l.plan.request, true
	l.sent++
	l.write(c)
}

func (l *loop) write(c *connection) {
	for len(c.unsent) > 0 {
		n, err := syscall.Write(c.fd, c.unsent)
		if n > 0 {
			c.unsent = c.unsent[n:]
		}
		if err == syscall.EAGAIN {
			l.watch(c, true)
			return
		}
		if err == syscall.EINTR {
			continue
		}
		// A broken connection says so on reading too; there it is counted.
		if err != nil {
			c.unsent = nil
		}
	}
	l.watch(c, false)
}

func (l *loop) watch(c *connection, isWatching bool) {
	if c.isWatching == isWatching {
		return
	}
	c.isWatching = isWatching
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)}
	if isWatching {
		event.Events |= syscall.EPOLLOUT
	}
	syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_MOD, c.fd, &event)
}

func (l *loop) read(c *connection) error {
	n, err := syscall.Read(c.fd, l.buffer)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return nil
	}
	if n <= 0 || err != nil {
		return l.replace(c, "connection closed without an answer")
	}
	if !c.isBusy {
		return l.replace(c, errExcess.Error())
	}
	isWhole, fault := c.answer.feed(l.buffer[:n])
	if fault != nil {
		return l.replace(c, fault.Error())
	}
	if !isWhole {
		return nil
	}
	now := l.now()
	l.latency.record(now - c.intended)
	l.statuses[c.answer.status]++
	l.bodyBytes += c.answer.bytes
	c.answer.bytes = 0
	l.answered++
	c.isBusy = false
	if c.answer.closes || len(c.unsent) > 0 {
		return l.replace(c, "")
	}
	l.idle = append(l.idle, c)
	l.serveBacklog()
	return nil
}

func (l *loop) serveBacklog() {
	if len(l.backlog) == 0 || len(l.idle) == 0 {
		return
	}
	intended := l.backlog[0]
	l.backlog = l.backlog[1:]
	l.send(intended)
}

// replace closes a connection and opens another; what was in flight on it has failed.
func (l *loop) replace(c *connection, fault string) error {
	if c.isBusy {
		l.failed++
		l.lastFault = fault
	}
	for i, other := range l.idle {
		if other == c {
			l.idle = append(l.idle[:i], l.idle[i+1:]...)
			break
		}
	}
	delete(l.conns, c.fd)
	syscall.Close(c.fd)
	l.reconnects++
	if err := l.open(); err != nil {
		return err
	}
	l.serveBacklog()
	return nil
}

// arm lets the timer fire at that time of ours; a time past is at once.
func (l *loop) arm(at int64) {
	delay := max(at-l.now(), 1)
	spec := [4]int64{0, 0, delay / 1e9, delay % 1e9} // interval, value: seconds and nanoseconds each
	syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(l.timer), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}
