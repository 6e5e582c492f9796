package gateway

import (
	"net/http"
	"time"

	"go.uber.org/zap"
)

// NewServer returns an HTTP server for the hooks' door with limits that suit it: 5 seconds for a request's
// header, 10 for the whole request, 20 for everything, a minute for an idle connection, and 16 KiB of
// header. The caller gives it a listener, should bound the number of connections there, and shuts it down;
// Shutdown waits for webhooks in work.
func NewServer(handler http.Handler, log *zap.Logger) *http.Server {
	errorLog, err := zap.NewStdLogAt(log.Named("http"), zap.WarnLevel)
	if err != nil {
		// NewStdLogAt fails for unknown levels only.
		errorLog = zap.NewStdLog(log.Named("http"))
	}
	return &http.Server{
		Handler:                      handler,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  10 * time.Second,
		WriteTimeout:                 20 * time.Second,
		IdleTimeout:                  time.Minute,
		MaxHeaderBytes:               16 << 10,
		ErrorLog:                     errorLog,
		DisableGeneralOptionsHandler: true,
	}
}
