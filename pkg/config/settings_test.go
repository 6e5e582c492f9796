package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
)

// settings is a good file with lines put in: of the gateway from line 3 on, of the robot and of the notifier
// from line 13 on.
func settings(notifier, gateway, robot string) string {
	return strings.Replace(strings.ReplaceAll(good, "${file:SECRETFILE}", "SECtest"), "gateway:\n", "gateway:\n"+gateway, 1) + robot + notifier
}

// TestEverySettingsFaultSaysWhatToDo has the whole sentence for each.
func TestEverySettingsFaultSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		duration = "is no duration: give hours, minutes or seconds, such as 36h or 1h30m"
		number   = "is no whole number; bytes may have a unit, such as 20Gi"
		servers  = "give the servers as nats://host:port, or tls://host:port, with commas and no blanks between them"
		naming   = `a name is 1 to 63 lower-case letters, digits and "-", the latter not first or last`
	)
	remote := config.Parts{Gateway: true, Remote: true}
	for name, c := range map[string]struct {
		notifier, gateway, robot string
		parts                    config.Parts
		want                     string
	}{
		"a further robot elsewhere":      {robot: "      more: [{webhook: 'https://evil.example/robot/send?access_token=a'}]\n", want: "b.yaml:13:24: notifier.robots[0].more[0].webhook: the host evil.example is not one of DingTalk's (oapi.dingtalk.com, oapi.dingtalk.io); if it is meant, name it in notifier.allowed_webhook_hosts"},
		"a further robot, plain":         {robot: "      more: [{webhook: 'http://oapi.dingtalk.com/robot/send?access_token=a'}]\n", want: "b.yaml:13:24: notifier.robots[0].more[0].webhook: the webhook must be https"},
		"a further robot, no token":      {robot: "      more: [{webhook: 'https://oapi.dingtalk.com/robot/send'}]\n", want: "b.yaml:13:24: notifier.robots[0].more[0].webhook: webhook has no access_token"},
		"a further robot, no webhook":    {robot: "      more: [{secret: hunter2}]\n", want: "b.yaml:13:14: notifier.robots[0].more[0].webhook: is empty"},
		"a robot that is its own second": {robot: "      more: [{webhook: 'https://oapi.dingtalk.com/robot/send?access_token=${ROBOT_TOKEN}'}]\n", want: "b.yaml:13:24: notifier.robots[0].more[0].webhook: is the webhook of robot team as well"},
		"one second robot in two groups": {robot: "      more: [{webhook: 'https://oapi.dingtalk.com/robot/send?access_token=a'}]\n    - name: b\n      webhook: https://oapi.dingtalk.io/robot/send?access_token=a\n", want: "b.yaml:15:16: notifier.robots[1].webhook: is the webhook of robot team (more[0]) as well"},
		"further robots not as a list":   {robot: "      more: {webhook: x}\n", want: "b.yaml:13:13: notifier.robots[0].more: a list belongs here: write [a, b], or begin each entry with a dash"},
		"an unknown allowance":           {robot: "      allowance: main\n", want: `b.yaml:13:18: notifier.robots[0].allowance: there is no allowance "main" under notifier.allowances`},
		"an allowance in capitals":       {robot: "      allowance: Main\n", want: "b.yaml:13:18: notifier.robots[0].allowance: " + naming},
		"a word for a switch":            {notifier: "  insecure_no_auth: hunter2\n", want: "b.yaml:13:21: notifier.insecure_no_auth: give true or false"},
		"a value for keys":               {notifier: "  grpc: hunter2\n", want: "b.yaml:13:9: notifier.grpc: keys with values belong here, not a single value or a list"},
		"a host with a path":             {notifier: "  allowed_webhook_hosts: [a/b]\n", want: "b.yaml:13:27: notifier.allowed_webhook_hosts[0]: give the host alone, without https://, port and path"},
		"a host twice":                   {notifier: "  allowed_webhook_hosts: [a, a]\n", want: "b.yaml:13:26: notifier.allowed_webhook_hosts: the same stands here twice"},
		"no calls a month":               {notifier: "  allowances: [{name: a}]\n", want: "b.yaml:13:16: notifier.allowances[0].per_month: is not between 1 and 100000000"},
		"calls in words":                 {notifier: "  allowances: [{name: a, per_month: many}]\n", want: "b.yaml:13:37: notifier.allowances[0].per_month: " + number},
		"one allowance twice":            {notifier: "  allowances: [{name: a, per_month: 1}, {name: a, per_month: 2}]\n", want: "b.yaml:13:48: notifier.allowances[1].name: is the name of allowances[0] as well: give each its own name"},
		"a long wait":                    {notifier: "  allowances: [{name: a, per_month: 1, max_wait: 13h}]\n", want: "b.yaml:13:50: notifier.allowances[0].max_wait: is not between 0s and 12h"},
		"a wait beyond the age":          {notifier: "  allowances: [{name: a, per_month: 1, max_wait: 2h}]\n  max_age: 2h\n", want: "b.yaml:13:50: notifier.allowances[0].max_wait: is not below notifier.max_age"},
		"the usual wait beyond the age":  {notifier: "  allowances: [{name: a, per_month: 1}]\n  max_age: 20m\n", want: "b.yaml:13:16: notifier.allowances[0].max_wait: is not below notifier.max_age: what waits for the allowance would become too old to be told; where it is absent it is 30m0s"},
		"a duration in days":             {notifier: "  max_age: 7 days\n", want: "b.yaml:13:12: notifier.max_age: " + duration},
		"a duration without its unit":    {notifier: "  retention: 60\n", want: "b.yaml:13:14: notifier.retention: " + duration},
		"a short retention":              {notifier: "  retention: 1h\n", want: "b.yaml:13:14: notifier.retention: is not between 24h and 8760h"},
		"a retention below the age":      {notifier: "  retention: 24h\n  max_age: 24h\n", want: "b.yaml:13:14: notifier.retention: is not above max_age: what still waits would be forgotten; make it longer"},
		"a retention below the window":   {notifier: "  retention: 25h\n  dedup_window: 26h\n", want: "b.yaml:13:14: notifier.retention: is shorter than dedup_window"},
		"two stores":                     {notifier: "  store: {nats: {url: 'nats://a'}, embedded: {dir: x}}\n", want: "b.yaml:13:10: notifier.store: give either embedded or nats, not both"},
		"a password in the address":      {notifier: "  store: {nats: {url: 'nats://me:hunter2@a'}}\n", want: "b.yaml:13:23: notifier.store.nats.url: user and password don't belong in the address: give user and password, token or credentials_file beside it"},
		"an address without nats":        {notifier: "  store: {nats: {url: 'n1:4222'}}\n", want: "b.yaml:13:23: notifier.store.nats.url: " + servers},
		"an address without its port":    {notifier: "  store: {nats: {url: 'nats://n1:'}}\n", want: "b.yaml:13:23: notifier.store.nats.url: " + servers},
		"an address with a query":        {notifier: "  store: {nats: {url: 'nats://n1?x=hunter2'}}\n", want: "b.yaml:13:23: notifier.store.nats.url: " + servers},
		"no address":                     {notifier: "  store: {nats: {replicas: 1}}\n", want: "b.yaml:13:17: notifier.store.nats.url: " + servers},
		"two replicas":                   {notifier: "  store: {nats: {url: 'nats://a', replicas: 2}}\n", want: "b.yaml:13:45: notifier.store.nats.replicas: give one of 1, 3, 5"},
		"bytes in another unit":          {notifier: "  store: {nats: {url: 'nats://a', max_bytes: 10GiB}}\n", want: "b.yaml:13:46: notifier.store.nats.max_bytes: " + number},
		"two identities":                 {notifier: "  store: {nats: {url: 'nats://a', user: u, token: hunter2}}\n", want: "b.yaml:13:17: notifier.store.nats: give one of user with password, token, and credentials_file"},
		"no such credentials":            {notifier: "  store: {nats: {url: 'nats://a', credentials_file: /no/such}}\n", want: "b.yaml:13:53: notifier.store.nats.credentials_file: file /no/such: there is no such file"},
		"credentials that are none":      {notifier: "  store: {nats: {url: 'nats://a', credentials_file: " + junk + "}}\n", want: "b.yaml:13:53: notifier.store.nats.credentials_file: file " + junk + ": holds no NATS credentials"},
		"a certificate that is none":     {notifier: "  store: {nats: {url: 'nats://a', tls: {ca_file: " + junk + "}}}\n", want: "b.yaml:13:50: notifier.store.nats.tls.ca_file: file " + junk + ": holds no certificate in PEM"},
		"a certificate without its key":  {notifier: "  store: {nats: {url: 'nats://a', tls: {cert_file: " + junk + "}}}\n", want: "b.yaml:13:40: notifier.store.nats.tls: give both cert_file and key_file, or neither"},
		"a pair that is none":            {notifier: "  store: {nats: {url: 'nats://a', tls: {cert_file: " + junk + ", key_file: " + junk + "}}}\n", want: "b.yaml:13:52: notifier.store.nats.tls.cert_file: files " + junk + " and " + junk + ": are no certificate and its key in PEM"},
		"a spool without its name":       {gateway: "  spool: {nats: {url: 'nats://a'}}\n", want: "b.yaml:3:10: gateway.spool: name is for a spool on nats, and needed there"},
		"a spool of two places":          {gateway: "  spool: {nats: {url: 'nats://a'}, name: a, dir: x}\n", want: "b.yaml:3:10: gateway.spool: give either dir or nats, not both"},
		"a spool of two sizes":           {gateway: "  spool: {nats: {url: 'nats://a'}, name: a, max_bytes: 1Gi}\n", want: "b.yaml:3:56: gateway.spool.max_bytes: is for a spool in a folder: give nats.max_bytes instead"},
		"a spool that keeps for long":    {gateway: "  spool: {max_age: 721h}\n", want: "b.yaml:3:20: gateway.spool.max_age: is not between 1m and 720h"},
		"a bad address of the spool":     {gateway: "  spool: {nats: {url: 'http://a'}, name: a}\n", want: "b.yaml:3:23: gateway.spool.nats.url: " + servers},
		"address and addresses":          {gateway: "  notifier: {address: 'a:1', addresses: ['b:1']}\n", parts: remote, want: "b.yaml:3:41: gateway.notifier.addresses: give either address or addresses, not both"},
		"an address without a port":      {gateway: "  notifier: {addresses: [a]}\n", parts: remote, want: "b.yaml:3:26: gateway.notifier.addresses[0]: give host:port, such as notifier.example:9090"},
		"no address of the notifier":     {parts: remote, want: "b.yaml:3:3: gateway: notifier.address is missing: `belfry gateway` needs to know where the notifier is; give its host:port there, or those of its replicas in notifier.addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.parts == (config.Parts{}) {
				c.parts = both
			}
			wantFault(t, settings(c.notifier, c.gateway, c.robot), c.parts, c.want)
		})
	}
}

func TestOneMistakeIsToldOnce(t *testing.T) {
	for _, notifier := range []string{"  max_age: 7 days\n", "  store: {nats: {url: 'nats://me:hunter2@a'}}\n", "  grpc: {listen: nine}\n"} {
		t.Setenv("HOOK_SECRET", "x")
		t.Setenv("ROBOT_TOKEN", "x")
		_, err := config.Parse("b.yaml", []byte(settings(notifier, "", "")), both)
		if faults, ok := err.(config.Faults); !ok || len(faults) != 1 {
			t.Errorf("%q is told as:\n%v", notifier, err)
		}
	}
}

// parsed is the configuration of settings, which must be good.
func parsed(t *testing.T, notifier, gateway, robot string) *configv1.Config {
	t.Helper()
	t.Setenv("HOOK_SECRET", "x")
	t.Setenv("ROBOT_TOKEN", "x")
	cfg, err := config.Parse("b.yaml", []byte(settings(notifier, gateway, robot)), both)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	cfg := parsed(t, "  allowances: [{name: org, per_month: 3000}, {name: other, per_month: 3000, max_wait: 0s}]\n", "", "      allowance: org\n")
	nt, spool := cfg.GetNotifier(), cfg.GetGateway().GetSpool()
	onNATS := parsed(t, "  store: {nats: {url: 'nats://a:1,tls://b'}}\n", "  spool: {nats: {url: 'nats://a', replicas: 1}, name: east}\n", "")
	store, spoolOn := onNATS.GetNotifier().GetStore(), onNATS.GetGateway().GetSpool()
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"retention", nt.GetRetention().AsDuration(), 720 * time.Hour},
		{"max_wait", nt.GetAllowances()[0].GetMaxWait().AsDuration(), 30 * time.Minute},
		{"a max_wait of nothing", nt.GetAllowances()[1].GetMaxWait().AsDuration(), time.Duration(0)},
		{"the journal's bytes", nt.GetStore().GetEmbedded().GetMaxBytes(), int64(10 << 30)},
		{"the spool's bytes", spool.GetMaxBytes(), int64(1 << 30)},
		{"the spool's age", spool.GetMaxAge().AsDuration(), 168 * time.Hour},
		{"no folder with a cluster", store.GetEmbedded() == nil, true},
		{"replicas", store.GetNats().GetReplicas(), int32(3)},
		{"the journal's bytes on a cluster", store.GetNats().GetMaxBytes(), int64(10 << 30)},
		{"no folder for a spool on a cluster", spoolOn.GetDir(), ""},
		{"replicas that are given", spoolOn.GetNats().GetReplicas(), int32(1)},
		{"the spool's bytes on a cluster", spoolOn.GetNats().GetMaxBytes(), int64(1 << 30)},
		{"the age of a spool on a cluster", spoolOn.GetMaxAge().AsDuration(), 168 * time.Hour},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestFilesOfAClusterThatHoldWhatTheyShouldAreTaken(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	certFile := write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	keyFile := write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	creds := write("a.creds", []byte("-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\nx\n------END USER NKEY SEED------\n"))
	parsed(t, "  store: {nats: {url: 'tls://a', credentials_file: "+creds+", tls: {ca_file: "+certFile+", cert_file: "+certFile+", key_file: "+keyFile+"}}}\n", "", "")
}
