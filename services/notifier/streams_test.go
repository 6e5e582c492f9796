package notifier

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// streamGRPC calls a method that streams, and returns its first s.lines answers as one list.
func streamGRPC(t testing.TB, s *stack, m protoreflect.MethodDescriptor, in proto.Message) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := s.conn.NewStream(s.showing(ctx), &grpc.StreamDesc{ServerStreams: true}, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()))
	if err == nil {
		err = stream.SendMsg(in)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	if err != nil {
		t.Fatal(err)
	}
	return answersOf(t, max(s.lines, 1), func() (proto.Message, error) {
		out := newMessage(t, m.Output())
		return out, stream.RecvMsg(out)
	})
}

// streamHTTP does the same over HTTP.
func streamHTTP(t testing.TB, s *stack, m protoreflect.MethodDescriptor, r *http.Request) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := http.DefaultClient.Do(r.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		if got := resp.Header.Get("Content-Type"); err != nil || got != "application/json" {
			t.Errorf("an error is %q, %v", got, err)
		}
		checkSecrets(t, "an answer over HTTP", string(body))
		return httpError(t, resp.StatusCode, body)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("a stream is %q", got)
	}
	lines := bufio.NewReader(resp.Body)
	return answersOf(t, max(s.lines, 1), func() (proto.Message, error) {
		out := newMessage(t, m.Output())
		return out, readLine(lines, out)
	})
}

// readLine reads one line of a stream over HTTP into out.
func readLine(lines *bufio.Reader, out proto.Message) error {
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var wrapped struct{ Result, Error json.RawMessage }
	if err := json.Unmarshal(line, &wrapped); err != nil {
		return fmt.Errorf("the line %q: %w", line, err)
	}
	if wrapped.Result == nil {
		return fmt.Errorf("the line %q holds no result", line)
	}
	return protojson.Unmarshal(wrapped.Result, out)
}

func answersOf(t testing.TB, n int, next func() (proto.Message, error)) answer {
	t.Helper()
	all := answer{Code: "OK"}
	list := []any{}
	for range n {
		out, err := next()
		checkSecrets(t, "an answer of a stream", fmt.Sprint(out))
		a := answerOf(t, out, err)
		if err != nil {
			return a
		}
		list = append(list, a.Response)
		all.token = a.token
	}
	all.Response = list
	return all
}
