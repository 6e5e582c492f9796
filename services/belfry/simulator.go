package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/lifecycle"
	"gitee.com/belfry/belfry/services/belfry/demo"
)

type simulatorCmd struct {
	Listen  string   `help:"Where robots are called (default: ${default})." default:"127.0.0.1:8421" placeholder:"ADDRESS"`
	Page    string   `help:"Where the page with the group is served, and /readyz (default: ${default})." default:"127.0.0.1:8420" placeholder:"ADDRESS"`
	TLS     string   `name:"tls" help:"Speak https, with the certificate that is kept in this folder; it is made where there is none. Without a folder: plain http." placeholder:"DIR"`
	Host    string   `help:"The host that stands in webhooks, whose name the certificate has (default: ${default})." default:"localhost" placeholder:"NAME"`
	Token   string   `help:"The robot's access_token (default: ${default})." default:"demo" placeholder:"TEXT"`
	Secret  string   `help:"The robot's signature secret; without one, its calls need no signature." placeholder:"TEXT"`
	Keyword []string `help:"A keyword of the robot's; may be repeated." placeholder:"WORD"`
}

// Run simulates DingTalk with one robot in one group, for services that run elsewhere, and shows the group on a
// page, until a signal comes. What the group received is forgotten with the process.
func (c *simulatorCmd) Run(e *env) (err error) {
	if c.Token == "" {
		return usageError{errors.New("--token is empty: give the access_token that stands in the robot's webhook")}
	}
	if len(c.Keyword) > 10 {
		return usageError{fmt.Errorf("--keyword is there %d times: a robot has at most 10 keywords", len(c.Keyword))}
	}
	page, err := lifecycle.Listen("--page", c.Page)
	if err != nil {
		return err
	}
	calls, scheme, err := c.listen(time.Now())
	if err != nil {
		return errors.Join(err, page.Close())
	}
	sim := dingtalktest.NewUnstarted()
	defer sim.Close()
	var members []dingtalktest.Member
	for id := range demoNames {
		members = append(members, dingtalktest.Member{UserID: id})
	}
	sim.AddRobot(dingtalktest.RobotConfig{Token: c.Token, Secret: c.Secret, Keywords: c.Keyword, Group: demoGroup, Members: members})

	p := newProcess(e.log)
	defer func() { err = errors.Join(err, p.stop()) }()
	p.Go("robots", lifecycle.ServeHTTP(&http.Server{
		Handler: sim, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: p.errorLog("robots"),
	}, calls))
	group := demo.NewPage(demo.Options{
		Server: sim, Token: c.Token, Names: demoNames, GroupName: demoGroup, RobotName: demoRobot, Members: 12,
	})
	mux := http.NewServeMux()
	mux.Handle("/", group.Handler())
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: p.errorLog("page")}
	srv.RegisterOnShutdown(group.Close)
	p.Go("page", lifecycle.ServeHTTP(srv, page))

	_, port, _ := net.SplitHostPort(calls.Addr().String()) // an address of a listener has a port
	fmt.Fprintf(e.stdout, `DingTalk is simulated, for one robot.

  The group      http://%s     <- open this
  The robot      %s://%s/robot/send?access_token=%s

The robot's host must stand under notifier.allowed_webhook_hosts.
`, page.Addr(), scheme, net.JoinHostPort(c.Host, port), url.QueryEscape(c.Token))
	return p.Wait(e.ctx)
}

// listen opens the address for robots' calls, and says which scheme it speaks.
func (c *simulatorCmd) listen(now time.Time) (ln net.Listener, scheme string, err error) {
	var cert tls.Certificate
	if c.TLS != "" {
		if cert, err = keptCertificate(c.TLS, c.Host, now); err != nil {
			return nil, "", fmt.Errorf("--tls: %w", err)
		}
	}
	if ln, err = lifecycle.Listen("--listen", c.Listen); err != nil || c.TLS == "" {
		return ln, "http", err
	}
	return tls.NewListener(ln, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}), "https", nil
}
