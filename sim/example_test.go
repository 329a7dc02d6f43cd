package sim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/andironhq/andiron/sim"
)

// A server needs nothing to be set. What nobody signed in for is refused as Epic refuses it.
func ExampleServer() {
	epic := &sim.Server{Patients: 4}
	server := httptest.NewServer(epic)
	defer server.Close()

	resp, err := http.Get(server.URL + epic.BasePath() + "/Patient/any")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	fmt.Println(resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	fmt.Println(epic.Requests()[0].Reason)
	// Output:
	// 401 Bearer
	// no Authorization header
}

// A fault is set before the request that it spoils.
func ExampleServer_Fail() {
	epic := &sim.Server{Patients: 4}
	if err := epic.Fail(sim.Fault{Op: "metadata", Status: 503, RetryAfter: "120", Times: 1}); err != nil {
		fmt.Println(err)
	}
	for range 2 {
		w := httptest.NewRecorder()
		epic.ServeHTTP(w, httptest.NewRequest(http.MethodGet, epic.BasePath()+"/metadata", nil))
		fmt.Println(w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// 503 120
	// 200
}
