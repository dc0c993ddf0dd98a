// load: the bench's load generator. Open loop: requests leave by the clock whatever the answers do, and a latency
// counts from the moment its request was due, so that a stalled server cannot hide. It says how well it kept its own
// schedule. Loopback only, bounded in time and count. Prints one JSON object.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

const (
	durationMax    = 15 * time.Minute
	connectionsMax = 1024
	requestsMax    = 10_000_000
	rateMax        = 200_000
)

type result struct {
	Mode          string         `json:"mode"`
	RatePerS      float64        `json:"ratePerS"`
	Connections   int            `json:"connections"`
	Sent          int            `json:"sent"`
	Answered      int            `json:"answered"`
	Failed        int            `json:"failed"`
	LastFault     string         `json:"lastFault,omitempty"`
	Statuses      map[string]int `json:"statuses"`
	ElapsedS      float64        `json:"elapsedS"`
	AchievedPerS  float64        `json:"achievedPerS"`
	BodyBytes     int64          `json:"bodyBytes"`
	Latency       summary        `json:"latency"`
	ScheduleError summary        `json:"scheduleError"`
	Delayed       int            `json:"delayed"`
	Reconnects    int            `json:"reconnects"`
	CPUS          float64        `json:"cpuS"`
}

func main() {
	target := flag.String("target", "", "host:port, loopback")
	requestFile := flag.String("request", "", "file with the bytes of one HTTP/1.1 request")
	connections := flag.Int("connections", 16, "connections, kept alive")
	rate := flag.Float64("rate", 0, "requests a second; 0: closed loop")
	arrivals := flag.String("arrivals", "constant", "constant or poisson")
	seed := flag.Uint64("seed", 1, "of the Poisson arrivals")
	duration := flag.Duration("duration", 2*time.Second, "how long requests are sent")
	count := flag.Int("requests", requestsMax, "at most so many")
	flag.Parse()

	address, err := net.ResolveTCPAddr("tcp", *target)
	if err != nil || !address.IP.IsLoopback() {
		refuse("-target: expected a loopback address with a port, got %q", *target)
	}
	request, err := os.ReadFile(*requestFile)
	if err != nil || len(request) == 0 {
		refuse("-request: %v", err)
	}
	if *connections < 1 || *connections > connectionsMax {
		refuse("-connections: expected 1 to %d", connectionsMax)
	}
	if *rate < 0 || *rate > rateMax || *duration <= 0 || *duration > durationMax || *count < 1 || *count > requestsMax {
		refuse("expected -rate up to %d, -duration up to %v, -requests up to %d", rateMax, durationMax, requestsMax)
	}
	if *arrivals != "constant" && *arrivals != "poisson" {
		refuse("-arrivals: expected constant or poisson, got %q", *arrivals)
	}
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(800)
	l, err := newLoop(plan{
		address: address, request: request, connections: *connections, rate: *rate, poisson: *arrivals == "poisson",
		seed: *seed, duration: *duration, requestsMax: *count,
	})
	if err == nil {
		err = l.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(toResult(l))
}

func toResult(l *loop) result {
	mode := "closed"
	if l.plan.rate > 0 {
		mode = "open"
	}
	statuses := map[string]int{}
	for status, count := range l.statuses {
		statuses[strconv.Itoa(status)] = count
	}
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	elapsed := float64(l.endedNs) / 1e9
	return result{
		Mode: mode, RatePerS: l.plan.rate, Connections: l.plan.connections, Sent: l.sent, Answered: l.answered,
		Failed: l.failed, LastFault: l.lastFault, Statuses: statuses, ElapsedS: elapsed,
		AchievedPerS: float64(l.answered) / elapsed, BodyBytes: l.bodyBytes, Latency: l.latency.summary(),
		ScheduleError: l.scheduleErr.summary(), Delayed: l.delayed, Reconnects: l.reconnects,
		CPUS: float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9,
	}
}

func refuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", args...)
	os.Exit(2)
}
