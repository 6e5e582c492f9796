package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	pathpkg "path"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// tlsFiles are files for TLS that a part of the configuration names.
type tlsFiles interface {
	GetCertFile() string
	GetKeyFile() string
}

// checkAccess finds doors that let in whom they should not, or whose TLS can't work. For a draft it leaves out
// the files.
func (vs *violations) checkAccess(cfg *configv1.Config, parts Parts, draft bool) {
	root := path(nil)
	gateway, notifier := root.field("gateway"), root.field("notifier")
	gw, nt := cfg.GetGateway(), cfg.GetNotifier()
	vs.checkTokens(notifier, nt)
	if parts.Remote {
		vs.checkGatewayToken(gateway.field("notifier"), gw.GetNotifier())
	}
	if draft {
		return
	}
	for _, door := range []struct {
		at  path
		tls *configv1.ServerTls
	}{
		{root.field("admin"), cfg.GetAdmin().GetTls()},
		{gateway, gw.GetTls()},
		{notifier.field("grpc"), nt.GetGrpc().GetTls()},
		{notifier.field("http"), nt.GetHttp().GetTls()},
	} {
		if door.tls != nil {
			vs.checkAuthority(door.at.field("tls"), "client_ca_file", door.tls.GetClientCaFile())
			vs.checkPair(door.at.field("tls"), door.tls)
		}
	}
	if client := gw.GetNotifier().GetTls(); client != nil && parts.Remote {
		vs.checkAuthority(gateway.field("notifier").field("tls"), "ca_file", client.GetCaFile())
		vs.checkPair(gateway.field("notifier").field("tls"), client)
	}
}

// checkTokens finds tokens that two callers have, and what contradicts them.
func (vs *violations) checkTokens(at path, nt *configv1.Notifier) {
	tokens := nt.GetTokens()
	vs.unique(at.field("tokens"), "name", len(tokens), func(i int) string { return tokens[i].GetName() }, "the name", "give each its own name")
	if len(tokens) > 0 && nt.GetInsecureNoAuth() {
		vs.add(at.field("insecure_no_auth"), "says that nobody is asked who they are, and tokens that they are: remove one of the two")
	}
	owner := make(map[string]string)
	claim := func(at path, t interface {
		GetSecret() string
		GetSha256() string
	}, name string) {
		digest, field := t.GetSha256(), "sha256"
		if t.GetSecret() != "" {
			sum := sha256.Sum256([]byte(t.GetSecret()))
			digest, field = hex.EncodeToString(sum[:]), "secret"
		}
		if digest == "" {
			return // it is told of as such
		}
		if other, ok := owner[digest]; ok {
			vs.add(at.field(field), "is a token of %s as well: give each its own, also for previous", other)
			return
		}
		owner[digest] = name
	}
	for i, t := range tokens {
		here := at.field("tokens").index(i)
		claim(here, t, t.GetName())
		if t.GetPrevious() != nil {
			claim(here.field("previous"), t.GetPrevious(), t.GetName())
		}
	}
}

// checkGatewayToken finds a token that would travel where others can listen.
func (vs *violations) checkGatewayToken(at path, client *configv1.NotifierClient) {
	switch {
	case client.GetInsecure() && client.GetTls() != nil:
		vs.add(at.field("insecure"), "is for a token without TLS, and there is tls: remove one of the two")
		return
	case client.GetInsecure() && client.GetToken() == "":
		vs.add(at.field("insecure"), "is for a token without TLS, and there is no token: remove it")
		return
	case client.GetInsecure() || client.GetTls() != nil || client.GetToken() == "":
		return
	}
	addresses := client.GetAddresses()
	if client.GetAddress() != "" {
		addresses = []string{client.GetAddress()}
	}
	for _, addr := range addresses {
		if host, _, err := net.SplitHostPort(addr); err == nil && !loopback(host) {
			vs.add(at.field("token"), "would travel unencrypted to %s: give tls, or set insecure: true where the network in between is trusted", addr)
			return
		}
	}
}

// checkAuthority checks the certificates in the file, if one is named in that field.
func (vs *violations) checkAuthority(at path, field, file string) {
	if file == "" {
		return
	}
	if pem, ok := vs.read(at.field(field), file); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		vs.add(at.field(field), "file %s: holds no certificate in PEM", file)
	}
}

// checkPair checks a certificate and its key, if both are named.
func (vs *violations) checkPair(at path, files tlsFiles) {
	if files.GetCertFile() == "" || files.GetKeyFile() == "" {
		return
	}
	cert, certOK := vs.read(at.field("cert_file"), files.GetCertFile())
	key, keyOK := vs.read(at.field("key_file"), files.GetKeyFile())
	if certOK && keyOK {
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			vs.add(at.field("cert_file"), "files %s and %s: are no certificate and its key in PEM", files.GetCertFile(), files.GetKeyFile())
		}
	}
}

// accessWarnings returns what is odd about who may call.
func accessWarnings(cfg *configv1.Config) []Problem {
	nt := cfg.GetNotifier()
	if len(nt.GetTokens()) == 0 {
		return nil
	}
	var problems []Problem
	for _, l := range UnencryptedTokens(nt) {
		problems = append(problems, Problem{Path: l, Message: "tokens travel unencrypted to this address, where others may listen: give tls beside it, unless something in front does"})
	}
	for i, t := range nt.GetTokens() {
		for j, pattern := range t.GetRobots() {
			if !matchesRobot(nt, pattern) {
				problems = append(problems, Problem{Path: fmt.Sprintf("notifier.tokens[%d].robots[%d]", i, j), Message: "fits no robot under notifier.robots"})
			}
		}
	}
	return problems
}

// UnencryptedTokens returns the settings of the notifier's listeners that tokens reach without TLS and from
// other machines.
func UnencryptedTokens(nt *configv1.Notifier) []string {
	if len(nt.GetTokens()) == 0 {
		return nil
	}
	var settings []string
	for _, l := range []struct {
		name string
		door *configv1.Listener
	}{{"notifier.grpc.listen", nt.GetGrpc()}, {"notifier.http.listen", nt.GetHttp()}} {
		host, _, err := net.SplitHostPort(l.door.GetListen())
		if err == nil && !loopback(host) && l.door.GetTls() == nil {
			settings = append(settings, l.name)
		}
	}
	return settings
}

func matchesRobot(nt *configv1.Notifier, pattern string) bool {
	for _, r := range nt.GetRobots() {
		if ok, err := pathpkg.Match(pattern, r.GetName()); ok && err == nil {
			return true
		}
	}
	return false
}
