package cli_test

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/andironhq/andiron/sim"
)

var (
	formTag   = regexp.MustCompile(`<form[^>]*\baction="([^"]*)"`)
	hiddenTag = regexp.MustCompile(`<input[^>]*\btype="hidden"[^>]*>`)
	attribute = regexp.MustCompile(`\b(name|value)="([^"]*)"`)
	patientID = regexp.MustCompile(`id="patient-([^"]+)"`)
)

// browse is a browser for $BROWSER with a person before it: it opens an address and walks through the
// simulator's pages as the user of a login, who consents.
//
//	BROWSER="browser simrosalind" andiron login dev-patient
//
// With -deny the person refuses consent.
func browse(args []string) int {
	decision := "allow"
	if len(args) > 0 && args[0] == "-deny" {
		decision, args = "deny", args[1:]
	}
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: browser [-deny] LOGIN ADDRESS")
		return 2
	}
	if err := walk(args[0], args[1], decision); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		return 1
	}
	return 0
}

func walk(login, address, decision string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar}
	page, err := client.Get(address)
	for range 100 { // an application that was started beside this browser may not listen yet
		if !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		time.Sleep(50 * time.Millisecond)
		page, err = client.Get(address)
	}
	for range 6 {
		if err != nil {
			return err
		}
		body, err := io.ReadAll(page.Body)
		if err = errors.Join(err, page.Body.Close()); err != nil {
			return err
		}
		text := string(body)
		form := formTag.FindStringSubmatch(text)
		if !strings.Contains(page.Request.URL.Path, "/oauth2/authorize") || form == nil {
			return nil // somewhere else: the application's closing page, or the simulator's refusal
		}
		values := url.Values{"username": {login}, "password": {sim.Password}, "decision": {decision}, "duration": {"1h"}}
		if id := patientID.FindStringSubmatch(text); id != nil {
			values.Set("patient", id[1])
		}
		for _, tag := range hiddenTag.FindAllString(text, -1) {
			field := map[string]string{}
			for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
				field[m[1]] = html.UnescapeString(m[2])
			}
			values.Set(field["name"], field["value"])
		}
		to, err := page.Request.URL.Parse(html.UnescapeString(form[1]))
		if err != nil {
			return err
		}
		if page, err = client.PostForm(to.String(), values); err != nil {
			return err
		}
	}
	return errors.New("the sign-in does not end")
}
