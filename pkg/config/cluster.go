package config

import (
	"bytes"
	"net/url"
	"strings"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// checkNATS finds addresses that no server can have, and files that don't hold what they should. The files
// are looked at here, and not only when the store is opened, so that `belfry check` finds what is wrong with
// them, and where they are named.
func (vs *violations) checkNATS(at path, n *configv1.NatsStore) {
	if n == nil {
		return
	}
	if fault := serversFault(n.GetUrl()); fault != "" {
		vs.add(at.field("url"), "%s", fault)
	}
	if file := n.GetCredentialsFile(); file != "" {
		at := at.field("credentials_file")
		if creds, ok := vs.read(at, file); ok &&
			!(bytes.Contains(creds, []byte("BEGIN NATS USER JWT")) && bytes.Contains(creds, []byte("BEGIN USER NKEY SEED"))) {
			vs.add(at, "file %s: holds no NATS credentials: it should be a .creds file with a user's JWT and key", file)
		}
	}
	files := n.GetTls()
	at = at.field("tls")
	vs.checkAuthority(at, "ca_file", files.GetCaFile())
	vs.checkPair(at, files)
}

// read reads the file that is named at at.
func (vs *violations) read(at path, file string) (data []byte, ok bool) {
	data, err := readFile(file)
	if err != nil {
		vs.add(at, "file %s: %v", file, err)
		return nil, false
	}
	return data, true
}

// serversFault says what is wrong with a list of servers, without showing it: it may hold a password.
func serversFault(servers string) string {
	if strings.Contains(servers, "@") {
		return "user and password don't belong in the address: give user and password, token or credentials_file beside it"
	}
	for server := range strings.SplitSeq(servers, ",") {
		u, err := url.Parse(server)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") ||
			u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
			return "give the servers as nats://host:port, or tls://host:port, with commas and no blanks between them"
		}
	}
	return ""
}
