package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/rouse-dev/rouse/transport/nimble"
)

// drain is how long calls under way may take after a signal.
const drain = 5 * time.Second

// serve answers requests until ctx ends.
func (s settings) serve(ctx context.Context, stdout, stderr io.Writer) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	l, err := net.ListenTCP("tcp", s.addr)
	if err != nil {
		return err
	}
	server := s.server(provider, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()

	if s.credentials == nil {
		_, _ = fmt.Fprintln(stderr, "studio: no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set: any signature is accepted")
	}
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", l.Addr()); err != nil {
		_ = server.Close()
		return fmt.Errorf("cannot say where it listens: %w", err)
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(late); err != nil {
		_ = server.Close() // it cuts off clients that it has not served in time
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// server returns a server with limits that suit small requests. A slow or large request
// holds nothing for long.
func (s settings) server(p nimble.Provider, logger *slog.Logger) *http.Server {
	c := nimble.HandlerConfig{Logger: logger}
	if s.credentials != nil {
		c.Credentials = nimble.Keys(*s.credentials)
	}
	return &http.Server{
		Handler:           nimble.Handler(p, c),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second, // counted like ReadTimeout, so that a slow client still gets an answer
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
