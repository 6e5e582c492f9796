package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/tlsfile/tlstest"
)

const (
	// token is one that no error may show, see wantFault.
	token  = "hunter2-hunter2-hunter2"
	sha    = "0000000000000000000000000000000000000000000000000000000000000000"
	ofTeam = "robots: [team], can: [NOTIFY]"
)

// TestEveryFaultOfAccessSaysWhatToDo has the whole sentence for each.
func TestEveryFaultOfAccessSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ca := tlstest.NewAuthority(t, dir, "ca")
	ca.Issue(t, in("cert"), in("key"))
	ca.Issue(t, in("other-cert"), in("other-key"))
	if err := os.WriteFile(in("junk"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	remote := config.Parts{Gateway: true, Remote: true}
	const form = "a token is 16 to 500 letters, digits and -._~+/=, such as `openssl rand -hex 32` makes"
	for name, c := range map[string]struct {
		notifier, gateway string
		parts             config.Parts
		want              string
	}{
		"a short token":                 {notifier: "  tokens: [{name: ci, secret: hunter2, " + ofTeam + "}]\n", want: "b.yaml:13:31: notifier.tokens[0].secret: " + form},
		"a token with blanks":           {notifier: "  tokens: [{name: ci, secret: 'hunter2 hunter2 hunter2', " + ofTeam + "}]\n", want: "b.yaml:13:31: notifier.tokens[0].secret: " + form},
		"a token for a digest":          {notifier: "  tokens: [{name: ci, sha256: " + token + ", " + ofTeam + "}]\n", want: "b.yaml:13:31: notifier.tokens[0].sha256: give the 64 digits that `printf %s TOKEN | sha256sum` prints"},
		"neither":                       {notifier: "  tokens: [{name: ci, " + ofTeam + "}]\n", want: "b.yaml:13:12: notifier.tokens[0]: give either secret or sha256"},
		"both":                          {notifier: "  tokens: [{name: ci, secret: " + token + ", sha256: '" + sha + "', " + ofTeam + "}]\n", want: "b.yaml:13:12: notifier.tokens[0]: give either secret or sha256"},
		"a previous one of nothing":     {notifier: "  tokens: [{name: ci, secret: " + token + ", previous: {}, " + ofTeam + "}]\n", want: "b.yaml:13:66: notifier.tokens[0].previous: give either secret or sha256"},
		"no name":                       {notifier: "  tokens: [{secret: " + token + ", " + ofTeam + "}]\n", want: "b.yaml:13:12: notifier.tokens[0].name: a name is"},
		"a name twice":                  {notifier: "  tokens: [{name: ci, sha256: '" + sha + "', " + ofTeam + "}, {name: ci, secret: " + token + ", " + ofTeam + "}]\n", want: "b.yaml:13:138: notifier.tokens[1].name: is the name of tokens[0] as well: give each its own name"},
		"a token twice":                 {notifier: "  tokens:\n  - {name: a, secret: " + token + ", " + ofTeam + "}\n  - {name: b, secret: " + token + ", " + ofTeam + "}\n", want: "b.yaml:15:23: notifier.tokens[1].secret: is a token of a as well: give each its own, also for previous"},
		"a token that is its previous":  {notifier: "  tokens:\n  - {name: a, secret: " + token + ", previous: {secret: " + token + "}, " + ofTeam + "}\n", want: "b.yaml:14:67: notifier.tokens[0].previous.secret: is a token of a as well"},
		"no robots":                     {notifier: "  tokens: [{name: ci, secret: " + token + ", can: [READ]}]\n", want: "b.yaml:13:12: notifier.tokens[0].robots: is empty: name at least one"},
		"a pattern of another language": {notifier: "  tokens: [{name: ci, secret: " + token + ", robots: ['team-[ab]'], can: [READ]}]\n", want: "b.yaml:13:65: notifier.tokens[0].robots[0]: give a robot's name, or a pattern of one, such as payments-* or *"},
		"no rights":                     {notifier: "  tokens: [{name: ci, secret: " + token + ", robots: [team]}]\n", want: "b.yaml:13:12: notifier.tokens[0].can: is empty: name at least one"},
		"a right in small letters":      {notifier: "  tokens: [{name: ci, secret: " + token + ", robots: [team], can: [read]}]\n", want: "b.yaml:13:78: notifier.tokens[0].can[0]: give one of NOTIFY, READ, MANAGE"},
		"tokens that nobody is asked":   {notifier: "  insecure_no_auth: true\n  tokens: [{name: ci, secret: " + token + ", " + ofTeam + "}]\n", want: "b.yaml:13:21: notifier.insecure_no_auth: says that nobody is asked who they are, and tokens that they are: remove one of the two"},
		"an open door without tokens":   {notifier: "  http: {listen: '0.0.0.0:9091'}\n", want: "b.yaml:13:18: notifier.http.listen: without notifier.tokens the notifier asks nobody who they are, so it listens on loopback addresses only"},
		"an open door with TLS alone":   {notifier: "  http: {listen: '0.0.0.0:9091', tls: {cert_file: " + in("cert") + ", key_file: " + in("key") + "}}\n", want: "b.yaml:13:18: notifier.http.listen: without notifier.tokens"},

		"a gateway's token in the open":    {gateway: "  notifier: {address: 'notifier.example:9090', token: " + token + "}\n", parts: remote, want: "b.yaml:3:55: gateway.notifier.token: would travel unencrypted to notifier.example:9090: give tls, or set insecure: true where the network in between is trusted"},
		"a token in the open to a replica": {gateway: "  notifier: {addresses: ['127.0.0.1:1', '10.0.0.2:2'], token: " + token + "}\n", parts: remote, want: "b.yaml:3:63: gateway.notifier.token: would travel unencrypted to 10.0.0.2:2"},
		"insecure without a token":         {gateway: "  notifier: {address: 'n:1', insecure: true}\n", parts: remote, want: "b.yaml:3:40: gateway.notifier.insecure: is for a token without TLS, and there is no token: remove it"},
		"insecure with TLS":                {gateway: "  notifier: {address: 'n:1', token: " + token + ", insecure: true, tls: {}}\n", parts: remote, want: "b.yaml:3:72: gateway.notifier.insecure: is for a token without TLS, and there is tls: remove one of the two"},
		"a gateway's token with a blank":   {gateway: "  notifier: {address: '127.0.0.1:1', token: 'hunter2 hunter2 hunter2'}\n", parts: remote, want: "b.yaml:3:45: gateway.notifier.token: " + form},

		"a door without its key":        {notifier: "  grpc: {tls: {cert_file: " + in("cert") + "}}\n", want: "b.yaml:13:15: notifier.grpc.tls: give both cert_file and key_file"},
		"a door with nothing":           {gateway: "  tls: {}\n", want: "b.yaml:3:8: gateway.tls: give both cert_file and key_file"},
		"a door's missing certificate":  {gateway: "  tls: {cert_file: /no/such, key_file: " + in("key") + "}\n", want: "b.yaml:3:20: gateway.tls.cert_file: file /no/such: there is no such file"},
		"a door with another's key":     {notifier: "  http: {tls: {cert_file: " + in("cert") + ", key_file: " + in("other-key") + "}}\n", want: "b.yaml:13:27: notifier.http.tls.cert_file: files " + in("cert") + " and " + in("other-key") + ": are no certificate and its key in PEM"},
		"junk for callers' authorities": {notifier: "  http: {tls: {client_ca_file: " + in("junk") + ", cert_file: " + in("cert") + ", key_file: " + in("key") + "}}\n", want: "b.yaml:13:32: notifier.http.tls.client_ca_file: file " + in("junk") + ": holds no certificate in PEM"},
		"junk for the notifier's":       {gateway: "  notifier: {address: 'n:1', tls: {ca_file: " + in("junk") + "}}\n", parts: remote, want: "b.yaml:3:45: gateway.notifier.tls.ca_file: file " + in("junk") + ": holds no certificate in PEM"},
		"a client with half a pair":     {gateway: "  notifier: {address: 'n:1', tls: {cert_file: " + in("cert") + "}}\n", parts: remote, want: "b.yaml:3:35: gateway.notifier.tls: give both cert_file and key_file, or neither"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.parts == (config.Parts{}) {
				c.parts = both
			}
			wantFault(t, settings(c.notifier, c.gateway, ""), c.parts, c.want)
		})
	}
	t.Run("a hook's secret that is its previous", func(t *testing.T) {
		yaml := strings.Replace(settings("", "", ""), `{secret: "${HOOK_SECRET}"}`, `{secret: hunter2, previous: hunter2}`, 1)
		wantFault(t, yaml, both, "b.yaml:5:18: gateway.hooks[0].signature: previous is the secret itself: give the other one, or remove it")
	})
	t.Run("the admin door's", func(t *testing.T) {
		wantFault(t, settings("admin: {tls: {cert_file: "+in("junk")+", key_file: "+in("key")+"}}\n", "", ""), both,
			"b.yaml:13:26: admin.tls.cert_file: files "+in("junk")+" and "+in("key")+": are no certificate and its key in PEM")
	})
}

func TestGoodAccessIsTaken(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	ca := tlstest.NewAuthority(t, dir, "ca")
	ca.Issue(t, cert, key)
	server := "tls: {cert_file: " + cert + ", key_file: " + key + ", client_ca_file: " + ca.File + "}"
	notifier := "  grpc: {listen: '0.0.0.0:9090', " + server + "}\n  http: {listen: '0.0.0.0:9091'}\n" +
		"  tokens:\n  - {name: ci, secret: " + token + ", previous: {sha256: '" + sha + "'}, " + ofTeam + "}\n" +
		"  - {name: ops, sha256: '" + strings.Repeat("1", 64) + "', robots: ['other-*', 'te?m'], can: [READ, MANAGE]}\n"
	gateway := "  " + server + "\n  notifier: {address: 'n:1', token: " + token + ", tls: {ca_file: " + ca.File + ", server_name: n}}\n"
	cfg := parsed(t, notifier+"admin: {"+server+"}\n", gateway, "")
	var got []string
	for _, w := range config.Warnings(cfg) {
		got = append(got, w.Path+": "+w.Message)
	}
	want := []string{
		"notifier.http.listen: tokens travel unencrypted to this address, where others may listen: give tls beside it, unless something in front does",
		"notifier.tokens[1].robots[0]: fits no robot under notifier.robots",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	t.Setenv("HOOK_SECRET", "x")
	for name, client := range map[string]string{
		"to this machine": "address: 'localhost:1', token: " + token,
		"insecure":        "address: 'n:1', insecure: true, token: " + token,
		"with TLS":        "addresses: ['n:1', 'm:2'], tls: {}, token: " + token,
		"without":         "address: 'n:1'",
	} {
		yaml := settings("", "  notifier: {"+client+"}\n", "")
		if _, err := config.Parse("b.yaml", []byte(yaml), config.Parts{Gateway: true, Remote: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheManualsExampleOfAccessIsGood has what the README shows, letter by letter.
func TestTheManualsExampleOfAccessIsGood(t *testing.T) {
	t.Chdir(t.TempDir())
	tlstest.NewAuthority(t, ".", "ca").Issue(t, "grpc.pem", "grpc.key")
	t.Setenv("GATEWAY_TOKEN", token)
	notifier := `
  grpc: {listen: 0.0.0.0:9090, tls: {cert_file: grpc.pem, key_file: grpc.key}}
  tokens:
    - {name: gateway, secret: "${GATEWAY_TOKEN}", robots: ["*"], can: [NOTIFY]}
    - {name: ci, sha256: 762f622a6e70c2457edfcdd863b83258c067343339614dd18632dbca6338353a,
       robots: ["payments-*"], can: [NOTIFY, READ]}
`
	gateway := `
  notifier: {address: "notifier.example:9090", token: "${GATEWAY_TOKEN}", tls: {ca_file: ca.pem}}
`[1:]
	cfg := parsed(t, notifier, gateway, "")
	if got := len(cfg.GetNotifier().GetTokens()); got != 2 {
		t.Errorf("%d tokens", got)
	}
	if _, err := config.Parse("b.yaml", []byte(settings("", gateway, "")), config.Parts{Gateway: true, Remote: true}); err != nil {
		t.Error(err)
	}
}
