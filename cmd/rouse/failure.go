package main

import (
	"strings"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// failureText says for a person why an operation failed, or returns "". The provider's
// message and the advice come first, codes and the request's id last.
func failureText(o engine.Operation) string {
	said := worded(o.LastError)
	switch o.Phase {
	case fsm.PhaseSucceeded, fsm.PhaseCanceled:
		return ""
	case fsm.PhaseExpired:
		if said == "" {
			return "it could not be sent in time"
		}
		return "it could not be sent in time: " + said
	case fsm.PhaseFailed:
		switch {
		case said == "":
			return endReasonText(o.EndReason)
		case !restated(o.EndReason):
			return said + " (" + string(o.EndReason) + ")"
		}
	}
	return said
}

// restated reports whether a provider's refusal says the same as an end reason.
func restated(r store.Reason) bool {
	return r == store.ReasonAccessDenied || r == store.ReasonNotFound || r == store.ReasonInvalid
}

// endReasonText says how an operation ended whose record has nothing but the end reason.
func endReasonText(r store.Reason) string {
	switch r {
	case store.ReasonStartFailed:
		return "the session is in a failed or deleted state (start_failed)"
	case store.ReasonReturnedToStopped:
		return "the session was started and has stopped again (returned_to_stopped)"
	case store.ReasonAmbiguous:
		return "the session may have been started, and another send could start it twice (ambiguous)"
	case store.ReasonTimeout:
		return "the session was not READY within the boot timeout (timeout)"
	case store.ReasonUnobservable:
		return "the session could not be read and may be running (unobservable)"
	}
	return strings.ReplaceAll(string(r), "_", " ")
}

// worded reorders a provider's error for a person. The error has the form "kind: code:
// message (HTTP status, request id); advice". Worded leaves a text of another form as it
// is.
func worded(text string) string {
	kind, rest, ok := cutKind(text)
	if !ok {
		return text
	}
	rest, details, advice := cutDetails(rest)
	code, message, _ := strings.Cut(rest, ": ")
	if !isCode(code) {
		code, message = "", rest
	}
	if message = strings.TrimSpace(message); message == "" {
		message = kind.Error()
	}
	message += advice
	switch {
	case code != "" && details != "":
		return message + " (" + code + ", " + details + ")"
	case code+details != "":
		return message + " (" + code + details + ")"
	}
	return message
}

// briefly returns an error of the provider without its codes and the request's id, which
// differ between sessions that have the same error.
func briefly(text string) string {
	if before, details, after := cutDetails(text); details != "" {
		return before + after
	}
	return text
}

// cutKind removes the kind from a provider's error.
func cutKind(text string) (kind transport.Kind, rest string, ok bool) {
	for k := transport.KindUnknown; k <= transport.KindUnreachable; k++ {
		rest, ok := strings.CutPrefix(text, k.Error())
		if ok && (rest == "" || strings.HasPrefix(rest, ": ") || strings.HasPrefix(rest, " (") || strings.HasPrefix(rest, "; ")) {
			return k, strings.TrimPrefix(rest, ": "), true
		}
	}
	return 0, text, false
}

// cutDetails removes the last parenthesis from a provider's error.
func cutDetails(text string) (before, details, after string) {
	at := max(strings.LastIndex(text, "(HTTP "), strings.LastIndex(text, "(request "))
	if at < 0 {
		return text, "", ""
	}
	details, after, ok := strings.Cut(text[at+1:], ")")
	if !ok { // the text was too long to be stored whole
		return text, "", ""
	}
	return strings.TrimSpace(text[:at]), details, after
}

// isCode reports whether a word looks like a provider's code for an error, such as
// "ThrottlingException" or "InvalidInstanceID.NotFound".
func isCode(word string) bool {
	for i, r := range word {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if i == 0 && (r < 'A' || r > 'Z') || !letter && r != '.' && (r < '0' || r > '9') {
			return false
		}
	}
	return word != ""
}
