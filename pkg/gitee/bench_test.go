package gitee_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// BenchmarkParse reads a push of some 5 KB, signature included; "valid" only asks encoding/json whether
// the same bytes are JSON, for comparison.
func BenchmarkParse(b *testing.B) {
	secret := gitee.Signature("密钥")
	for name, d := range map[string]giteetest.Delivery{
		"push":         giteetest.Push(sent, "belltower/clocks", "main", 1, "bench"),
		"pull_request": pullRequest(b),
	} {
		req, err := giteetest.NewRequest(b.Context(), "http://127.0.0.1/", secret, d, sent)
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := gitee.Parse(secret, "payments", req.Header, body, sent); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/valid", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if !json.Valid(body) {
					b.Fatal("not JSON")
				}
			}
		})
	}
}

func pullRequest(b *testing.B) giteetest.Delivery {
	for _, d := range giteetest.All(sent) {
		if d.Name == "pull_request_opened" {
			return d
		}
	}
	b.Fatal("there is no pull request")
	return giteetest.Delivery{}
}

// BenchmarkParseHostile reads 10 MiB of what takes longest.
func BenchmarkParseHostile(b *testing.B) {
	for name, unit := range map[string]string{
		"commits":  `{"id":"x","parent_ids":["x","y"],"added":["x"]},`,
		"brackets": `[],`,
		"escapes":  `"\u0000\u0001",`,
		"keys":     `{"a":1,"a":2,"b":{}},`,
	} {
		b.Run(name, func(b *testing.B) {
			const head = `{"ref":"refs/heads/x","before":"a1","after":"b2",` + repo + `,"commits":[`
			body := append([]byte(head), bytes.Repeat([]byte(unit), (gitee.MaxBody-len(head)-10)/len(unit))...)
			body = append(body, "0]}"...)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(headers(pushHook), string(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
