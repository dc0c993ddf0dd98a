// upstream: a model server that costs next to nothing, so that what is measured before it is the hop and not the model.
// It reads the whole body, waits the given service time (calls do not disturb each other) and answers per item.
//
//	POST /v1/models/NAME:predict         {"predictions":[P,P,...]}, one P an instance
//	POST /v2/models/NAME/infer           binary tensors in and out, a row of four FP32 an item
//	GET  /v2/models/NAME                 metadata with a free first dimension
//	GET  /stats                          {"calls":N,"items":N} since the start
//	anything else                        a small fixed JSON
//
// usage: upstream LISTEN [SERVICE_TIME]
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const prediction = "[0.1,0.2,0.3,0.4]"

var (
	calls, items atomic.Int64
	service      time.Duration
	// The only bodies it has to understand are the bench's own, which are written without spaces.
	firstShape = regexp.MustCompile(`"shape":\[(\d+),`)
	bodies     = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) < 2 {
		log.Fatal("usage: upstream LISTEN [SERVICE_TIME]")
	}
	if len(os.Args) > 2 {
		var err error
		if service, err = time.ParseDuration(os.Args[2]); err != nil {
			log.Fatal(err)
		}
	}
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(serve)))
}

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		answerGet(w, r.URL.Path)
		return
	}
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if _, err := io.Copy(body, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	calls.Add(1)
	if service > 0 {
		time.Sleep(service)
	}
	switch {
	case strings.HasSuffix(r.URL.Path, ":predict"):
		// Each instance is one flat array: n of them have n-1 seams.
		answerPredictions(w, bytes.Count(body.Bytes(), []byte("],["))+1)
	case strings.HasSuffix(r.URL.Path, "/infer"):
		answerTensors(w, r.Header.Get("Inference-Header-Content-Length"), body.Bytes())
	default:
		answerPredictions(w, 1)
	}
}

func answerGet(w http.ResponseWriter, path string) {
	switch {
	case path == "/stats":
		writeJSON(w, fmt.Sprintf(`{"calls":%d,"items":%d}`, calls.Load(), items.Load()))
	case strings.HasPrefix(path, "/v2/models/") && strings.Count(path, "/") == 3:
		const tensor = `{"name":%q,"datatype":"FP32","shape":[-1,%d]}`
		writeJSON(w, fmt.Sprintf(`{"name":"m","versions":["1"],"platform":"bench","inputs":[`+tensor+`],"outputs":[`+tensor+`]}`,
			"x", -1, "y", 4))
	default:
		writeJSON(w, "{}")
	}
}

func answerPredictions(w http.ResponseWriter, count int) {
	items.Add(int64(count))
	var out strings.Builder
	out.Grow(20 + count*(len(prediction)+1))
	out.WriteString(`{"predictions":[`)
	for i := range count {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(prediction)
	}
	out.WriteString("]}")
	writeJSON(w, out.String())
}

func answerTensors(w http.ResponseWriter, headerLength string, body []byte) {
	length, err := strconv.Atoi(headerLength)
	if err != nil || length > len(body) {
		http.Error(w, "no binary request", http.StatusBadRequest)
		return
	}
	match := firstShape.FindSubmatch(body[:length])
	if match == nil {
		http.Error(w, "no shape", http.StatusBadRequest)
		return
	}
	count, _ := strconv.Atoi(string(match[1]))
	items.Add(int64(count))
	head := fmt.Sprintf(`{"model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[%d,4],`+
		`"parameters":{"binary_data_size":%d}}]}`, count, 16*count)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+16*count))
	io.WriteString(w, head)
	w.Write(make([]byte, 16*count))
}

func writeJSON(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	io.WriteString(w, text)
}
