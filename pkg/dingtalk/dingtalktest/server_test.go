package dingtalktest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token  = "t0ken-of-the-test-robot"
	secret = "SECsecret-of-the-test-robot"
)

// clock is a clock that goes only when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 11, 22, 8, 0, 30, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start returns a simulator, closed at the end of the test, with one robot.
func start(t *testing.T, robot dingtalktest.RobotConfig, opts ...dingtalktest.Option) *dingtalktest.Server {
	t.Helper()
	s := dingtalktest.NewServer(opts...)
	t.Cleanup(s.Close)
	robot.Token = token
	s.AddRobot(robot)
	return s
}

// request is a call by hand; its zero value is a good one.
type request struct {
	method, query, contentType, body string
	header                           http.Header
}

const goodBody = `{"msgtype":"text","text":{"content":"hello Gitee"}}`

// answer is what came back; errcode is nil where the body had none.
type answer struct {
	Errcode any    `json:"errcode"`
	Errmsg  string `json:"errmsg"`
	status  int
	raw     string
}

func call(t *testing.T, s *dingtalktest.Server, r request) answer {
	t.Helper()
	a, err := try(t, s, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(t *testing.T, s *dingtalktest.Server, r request) (answer, error) {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.query == "" {
		r.query = "access_token=" + token
	}
	if r.body == "" {
		r.body = goodBody
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.URL()+"/robot/send?"+r.query, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, raw: string(body)}
	_ = json.Unmarshal(body, &a)
	return a, nil
}

// want checks for an answer of the simulated API itself.
func (a answer) want(t *testing.T, errcode int, errmsg string) {
	t.Helper()
	if a.status != http.StatusOK || a.Errcode != float64(errcode) || !strings.Contains(a.Errmsg, errmsg) {
		t.Errorf("HTTP %d %s; want %d with %q", a.status, a.raw, errcode, errmsg)
	}
}

func TestTheOrderOfChecks(t *testing.T) {
	clock := newClock()
	s := start(t, dingtalktest.RobotConfig{
		Secret: secret, Keywords: []string{"Gitee"}, AllowedIPs: []string{"203.0.113.0/24", "198.51.100.7"},
		State: dingtalktest.StateDisabled,
	}, dingtalktest.WithClock(clock.Now), dingtalktest.WithRate(dingtalktest.Rate{Calls: 1000}), dingtalktest.WithAddressHeader("X-From"))
	s.Inject(dingtalktest.Errcode(-7, "injected").For(token))

	// A call with every fault there is, of which one more is mended at each step.
	r := request{method: http.MethodGet, query: "x=y", contentType: "text/plain", body: strings.Repeat(" ", dingtalk.MaxBody+1), header: http.Header{"X-From": {"192.0.2.1"}}}
	steps := []struct {
		mend    func()
		check   string
		errcode int
		errmsg  string
	}{
		{func() {}, "method", 43002, "需要POST请求"},
		{func() { r.method = http.MethodPost }, "access_token", 40035, "缺少参数 access_token"},
		{func() { r.query = "access_token=unknown" }, "token", 300005, "token is not exist"},
		{func() { r.query = "access_token=" + token }, "state", 400102, "机器人已停用"},
		{func() { s.SetRobotState(token, dingtalktest.StateActive) }, "fault: errcode -7", -7, "injected"},
		{func() {}, "address", 310000, "ip 192.0.2.1 不在白名单中"},
		{func() { r.header.Set("X-From", "203.0.113.200") }, "signature", 310000, "签名不匹配"},
		{func() { r.query = signed(clock.Now(), secret) }, "content type", 43004, "Content-Type"},
		{func() { r.contentType = "application/json; charset=UTF-8" }, "size", 460101, "20000bytes"},
		{func() { r.body = "[]" }, "json", 40035, "缺少参数 json"},
		{func() { r.body = `{"msgtype":"image"}` }, "message", 400105, "不支持的消息类型"},
		{func() { r.body = `{"msgtype":"text","text":{"content":"hello"}}` }, "keyword", 310000, "关键词不匹配"},
	}
	var reasons []string
	for _, step := range steps {
		step.mend()
		call(t, s, r).want(t, step.errcode, step.errmsg)
		reasons = append(reasons, step.check)
	}
	r.body = goodBody
	call(t, s, r).want(t, 0, "ok")

	var got, unmet []string
	met := map[string]bool{"fault": true}
	for _, refused := range s.Refusals() {
		got = append(got, refused.Reason)
		met[refused.Reason] = true
	}
	if diff := cmp.Diff(reasons, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	for _, check := range dingtalktest.Checks() {
		if !met[check] {
			unmet = append(unmet, check)
		}
	}
	// These two have tests of their own: the pace for want of a mended step, the content for want of rules.
	if diff := cmp.Diff([]string{"too fast", "content"}, unmet); diff != "" {
		t.Errorf("checks not met (-want +got):\n%s", diff)
	}
}

// signed is the query of a call signed at that time.
func signed(at time.Time, secret string) string {
	return signedAs(fmt.Sprint(at.UnixMilli()), dingtalk.Sign(at.UnixMilli(), secret))
}

func signedAs(timestamp, sign string) string {
	return url.Values{"access_token": {token}, "timestamp": {timestamp}, "sign": {sign}}.Encode()
}

func TestStatesAndUnknownTokens(t *testing.T) {
	for state, errcode := range map[dingtalktest.State]int{
		dingtalktest.StateActive: 0, dingtalktest.StateDisabled: 400102, dingtalktest.StateRemoved: 400106,
		dingtalktest.StateGroupDissolved: 400013, dingtalktest.StateQuotaExhausted: 90030,
	} {
		s := start(t, dingtalktest.RobotConfig{State: state})
		call(t, s, request{}).want(t, errcode, "")
	}
	for errcode, errmsg := range map[int]string{300005: "token is not exist", 300001: "token is not exist", 400101: "access_token不存在"} {
		s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithUnknownToken(errcode))
		call(t, s, request{query: "access_token=x"}).want(t, errcode, errmsg)
	}
}

func TestSignatureRules(t *testing.T) {
	clock := newClock()
	s := start(t, dingtalktest.RobotConfig{Secret: secret}, dingtalktest.WithClock(clock.Now))
	now := clock.Now()
	ms := fmt.Sprint(now.UnixMilli())
	sign := dingtalk.Sign(now.UnixMilli(), secret)
	const mismatch, expired = "签名不匹配", "签名过期"
	for _, test := range []struct {
		name, query, errmsg string
	}{
		{"right", signed(now, secret), ""},
		{"again", signed(now, secret), ""},
		{"an hour ago", signed(now.Add(-time.Hour), secret), ""},
		{"in an hour", signed(now.Add(time.Hour), secret), ""},
		{"longer ago", signed(now.Add(-time.Hour-time.Millisecond), secret), expired},
		{"later", signed(now.Add(time.Hour+time.Millisecond), secret), expired},
		{"neither", "access_token=" + token, mismatch},
		{"no timestamp", "access_token=" + token + "&sign=x", mismatch},
		{"no sign", "access_token=" + token + "&timestamp=" + ms, mismatch},
		{"no number", signedAs("now", sign), mismatch},
		{"another time's", signedAs(fmt.Sprint(now.UnixMilli()+1), sign), mismatch},
		{"another secret's", signed(now, secret+"x"), mismatch},
		{"encoded twice", signedAs(ms, url.QueryEscape(sign)), mismatch},
	} {
		want := 0
		if test.errmsg != "" {
			want = 310000
		}
		t.Run(test.name, func(t *testing.T) { call(t, s, request{query: test.query}).want(t, want, test.errmsg) })
	}
	unsigned := start(t, dingtalktest.RobotConfig{})
	call(t, unsigned, request{query: signedAs("x", "y")}).want(t, 0, "ok")
}

func TestAddresses(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{AllowedIPs: []string{"203.0.113.0/24"}})
	call(t, s, request{}).want(t, 310000, "ip 127.0.0.1 不在白名单中")
	s.AddRobot(dingtalktest.RobotConfig{Token: token, AllowedIPs: []string{"203.0.113.0/24", "127.0.0.1"}})
	call(t, s, request{}).want(t, 0, "ok")
	for _, bad := range []dingtalktest.RobotConfig{
		{Token: "x", AllowedIPs: []string{"::1"}},
		{Token: "x", AllowedIPs: []string{"2001:db8::/32"}},
		{Token: "x", AllowedIPs: []string{"example.com"}},
		{Token: "x", Keywords: make([]string, 11)},
		{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was accepted", bad)
				}
			}()
			s.AddRobot(bad)
		}()
	}
}

func TestBodyRules(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithRate(dingtalktest.Rate{Calls: 1000}))
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "/"} {
		call(t, s, request{contentType: contentType}).want(t, 43004, "Content-Type")
	}
	for _, body := range []string{" ", "x", "{", "null", "[]", `"x"`, `{"msgtype":"text"} x`, "{\"msgtype\":\"text\",\"text\":{\"content\":\"\xff\"}}"} {
		call(t, s, request{body: body}).want(t, 40035, "缺少参数 json")
	}
	fill := func(n int) string {
		const before, after = `{"msgtype":"text","text":{"content":"`, `"}}`
		return before + strings.Repeat("x", n-len(before)-len(after)) + after
	}
	call(t, s, request{body: fill(dingtalk.MaxBody)}).want(t, 0, "ok")
	call(t, s, request{body: fill(dingtalk.MaxBody + 1)}).want(t, 460101, "20000bytes")
	call(t, s, request{body: fill(1 << 20)}).want(t, 460101, "20000bytes")
}

func TestMissingFields(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithRate(dingtalktest.Rate{Calls: 1000}))
	for _, test := range []struct {
		body    string
		errcode int
		errmsg  string
	}{
		{`{}`, 400105, "不支持的消息类型"},
		{`{"msgtype":"Text","text":{"content":"x"}}`, 400105, ""},
		{`{"msgtype":1}`, 400105, ""},
		{`{"msgtype":"text"}`, 400201, "miss param : text"},
		{`{"msgtype":"text","text":"x"}`, 400201, ""},
		{`{"msgtype":"text","text":{}}`, 400202, "miss param : text->content"},
		{`{"msgtype":"text","text":{"content":""}}`, 400202, ""},
		{`{"msgtype":"text","text":{"content":5}}`, 400202, ""},
		{`{"msgtype":"link","link":[]}`, 400301, "miss param : link"},
		{`{"msgtype":"link","link":{"title":"x","messageUrl":"x"}}`, 400302, "link->text"},
		{`{"msgtype":"link","link":{"text":"x","messageUrl":"x"}}`, 400303, "link->title"},
		{`{"msgtype":"link","link":{"text":"x","title":"x","messageURL":"x"}}`, 400304, "link->messageUrl"},
		{`{"msgtype":"markdown","text":{"content":"x"}}`, 400401, "miss param : markdown"},
		{`{"msgtype":"markdown","markdown":{"text":"x"}}`, 400402, "markdown->title"},
		{`{"msgtype":"markdown","markdown":{"title":"x","text":""}}`, 400403, "markdown->text"},
		{`{"msgtype":"actionCard"}`, 400501, "miss param : actionCard"},
		{`{"msgtype":"actionCard","actionCard":{"title":"x"}}`, 400503, "actionCard->text"},
		{`{"msgtype":"feedCard","feedCard":null}`, 400601, "miss param : feedCard"},
		{`{"msgtype":"feedCard","feedCard":{}}`, 400602, "feedCard->links"},
		{`{"msgtype":"feedCard","feedCard":{"links":[]}}`, 400602, ""},
		{`{"msgtype":"feedCard","feedCard":{"links":{}}}`, 400602, ""},
		{`{"msgtype" : "text" , "text" : { "content" : "x" } , "more" : 1}`, 0, "ok"},
	} {
		t.Run(test.body, func(t *testing.T) { call(t, s, request{body: test.body}).want(t, test.errcode, test.errmsg) })
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{})
	resp, err := http.Get(s.URL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("HTTP %d", resp.StatusCode)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
