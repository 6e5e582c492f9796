package notifier

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// scenario is a file of the corpus: calls to a fresh notifier, one after the other, and their answers.
// The same calls come through both doors.
//
// In a request "${x*9}" stands for nine x, and "$TOKEN" for the next_page_token or resume_token of an answer
// before. These
// are methods of the test alone: DingTalk changes how a robot fares there, Await waits until a robot is in a
// state, Group tells what a robot's group received.
type scenario struct {
	About string `json:"about"`
	// Idle has nothing delivered.
	Idle  bool    `json:"idle,omitempty"`
	Calls []*call `json:"calls"`
}

type call struct {
	About  string `json:"about,omitempty"`
	Method string `json:"method"`
	// Loose looks at the answer's code alone, where the rest is a race's.
	Loose bool `json:"loose,omitempty"`
	// Lines is how many answers of a stream are looked at; 0 means one.
	Lines   int             `json:"lines,omitempty"`
	Request json.RawMessage `json:"request"`
	Answer  *answer         `json:"answer,omitempty"`
}

func TestAPIAnswersTheSameOverBothDoors(t *testing.T) {
	files, err := filepath.Glob("testdata/api/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 8 {
		t.Fatalf("only %d files of the corpus are found", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		sc := readScenario(t, file)
		for i, d := range doors {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				sc.run(t, d.call, *update && i == 0)
			})
		}
		if *update && !t.Failed() {
			writeScenario(t, file, sc)
		}
	}
}

func (sc *scenario) run(t *testing.T, through door, record bool) {
	s := start(t, plan{idle: sc.Idle})
	token := ""
	for i, c := range sc.Calls {
		request := expand(t, c.Request, token)
		var got answer
		switch c.Method {
		case "DingTalk", "Await", "Group":
			var arg struct{ Robot, State string }
			if err := json.Unmarshal(request, &arg); err != nil {
				t.Fatal(err)
			}
			if got = s.aside(t, c.Method, arg.Robot, arg.State); got.Code == "" {
				continue
			}
		default:
			s.lines = max(c.Lines, 1)
			if got = through(t, s, c.Method, request); got.token != "" {
				token = got.token
			}
		}
		if c.Loose {
			got = answer{Code: got.Code}
		}
		switch {
		case record:
			c.Answer = &got
		case c.Answer == nil:
			t.Errorf("call %d, %s %s: there is no answer to compare with; run with -update", i, c.Method, c.About)
		default:
			if diff := cmp.Diff(*c.Answer, got, cmpopts.IgnoreUnexported(answer{})); diff != "" {
				t.Errorf("call %d, %s %s: (-want +got)\n%s", i, c.Method, c.About, diff)
			}
		}
	}
}

// aside does what is none of the API's; an answer without code is nothing to compare.
func (s *stack) aside(t *testing.T, method, robot, state string) answer {
	t.Helper()
	switch method + " " + state {
	case "DingTalk disabled":
		s.sim.SetRobotState(tokenOf(robot), dingtalktest.StateDisabled)
	case "DingTalk active":
		s.sim.SetRobotState(tokenOf(robot), dingtalktest.StateActive)
	case "DingTalk too fast":
		s.sim.Inject(dingtalktest.Errcode(130101, "send too fast, exceed 20 times per minute").For(tokenOf(robot)))
	case "DingTalk busy":
		s.sim.Inject(dingtalktest.Busy().For(tokenOf(robot)))
	case "Await SUSPENDED":
		s.await(t, robot, func(st delivery.Status) bool { return st.Suspension != nil })
	case "Await MUTED":
		s.await(t, robot, func(st delivery.Status) bool { return !st.MutedUntil.IsZero() })
	case "Group ":
		got := []any{}
		for _, m := range s.sim.MessagesOf(tokenOf(robot)) {
			body := map[string]any{}
			if err := json.Unmarshal(m.Body, &body); err != nil {
				t.Fatal(err)
			}
			delete(body, "msgUuid")
			got = append(got, body)
		}
		return answer{Code: "OK", Response: got}
	default:
		t.Fatalf("%s knows nothing of %q", method, state)
	}
	return answer{}
}

var repeated = regexp.MustCompile(`\$\{([^*}]+)\*(\d+)\}`)

func expand(t *testing.T, request []byte, token string) []byte {
	t.Helper()
	request = bytes.ReplaceAll(request, []byte("$TOKEN"), []byte(token))
	return repeated.ReplaceAllFunc(request, func(m []byte) []byte {
		parts := repeated.FindSubmatch(m)
		n, err := strconv.Atoi(string(parts[2]))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Repeat(parts[1], n)
	})
}

func readScenario(t *testing.T, file string) *scenario {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sc := &scenario{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(sc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return sc
}

func writeScenario(t *testing.T, file string, sc *scenario) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(sc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
