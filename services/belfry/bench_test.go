package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// BenchmarkIdleLatency measures what an event waits for when nothing else does: from its webhook to the
// robot's call, both services, the store on disk and all sockets being real, on loopback. Each round takes a
// robot that rests, so that none waits for a budget. From the same run it reports what the way can't do
// without: the fsync of a kilobyte, of which the way has two, one after the other (the notification, and the
// message that is about to be sent), and an HTTP request on loopback, of which it has two as well.
//
//	go test -run '^$' -bench IdleLatency -benchtime 400x ./services/belfry
func BenchmarkIdleLatency(b *testing.B) {
	const robots = 100
	sim := dingtalktest.NewServer(dingtalktest.WithRate(dingtalktest.Rate{Calls: 1 << 20}))
	defer sim.Close()
	called := make(chan time.Time, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called <- time.Now()
		sim.ServeHTTP(w, r)
	}))
	defer front.Close()
	var hooks, targets strings.Builder
	for i := range robots {
		token := random()
		sim.AddRobot(dingtalktest.RobotConfig{Token: token})
		fmt.Fprintf(&hooks, "    - {name: r-%d, signature: {secret: key}, routes: [{robots: [r-%[1]d]}]}\n", i)
		fmt.Fprintf(&targets, "    - {name: r-%d, webhook: %q}\n", i, front.URL+"/robot/send?access_token="+token)
	}
	dir := b.TempDir()
	p := started(b, fmt.Sprintf(`
admin: {listen: "127.0.0.1:0"}
gateway:
  listen: 127.0.0.1:0
  spool: {dir: %q}
  hooks:
%snotifier:
  grpc: {listen: "127.0.0.1:0"}
  http: {listen: "127.0.0.1:0"}
  store: {embedded: {dir: %q}}
  allowed_webhook_hosts: [127.0.0.1]
  robots:
%s`, filepath.Join(dir, "gateway"), hooks.String(), filepath.Join(dir, "notifier"), targets.String()),
		config.Parts{Gateway: true, Notifier: true})
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()

	var waits, syncs, requests []time.Duration
	for i := 0; b.Loop(); i++ {
		d := giteetest.Push(time.Now(), "belltower/payments", "main", 1, random())
		door := fmt.Sprintf("http://%s/hooks/r-%d", p.door, i%robots)
		req, err := giteetest.NewRequest(b.Context(), door, gitee.Signature("key"), d, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		body := exchange(b, req)
		waits = append(waits, (<-called).Sub(began))
		if !strings.Contains(body, `"deliveries":["`) {
			b.Fatalf("the door said %s", body)
		}
		syncs = append(syncs, timed(func() {
			if _, err := file.Write(make([]byte, 1<<10)); err != nil {
				b.Fatal(err)
			}
			if err := file.Sync(); err != nil {
				b.Fatal(err)
			}
		}))
		bare, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+p.admin+"/livez", nil)
		if err != nil {
			b.Fatal(err)
		}
		requests = append(requests, timed(func() { exchange(b, bare) }))
	}
	b.ReportMetric(0, "ns/op") // the round with all that it measures beside
	report := func(unit string, of []time.Duration, quantile float64) {
		slices.Sort(of)
		at := of[int(quantile*float64(len(of)-1))]
		b.ReportMetric(float64(at.Microseconds())/1000, unit)
	}
	report("ms-median", waits, 0.5)
	report("ms-p99", waits, 0.99)
	report("ms-fsync", syncs, 0.5)
	report("ms-http", requests, 0.5)
}

func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func exchange(b *testing.B, req *http.Request) (body string) {
	b.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}
