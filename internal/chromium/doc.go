// Package chromium gives a test a real browser: Chromium without a window, a profile of its own that
// is gone afterwards, and the few gestures that a person makes on a page.
//
//	tab := chromium.Start(t).Open("http://127.0.0.1:7400/")
//	tab.Fill("username", "camila")
//	tab.Click("sign-in")
//	tab.Wait("Hemoglobin A1c")
//
// Every [Start] has its own cookies; tabs of one [Browser] share them, as windows on a desk do. What
// a page writes to the console as an error fails the test, unless [Browser.Tolerate] names it.
//
// A test binary that runs its tests through [Main] starts one process for all of them; others start
// one for each Start. Without Chromium the tests are skipped, and fail where ANDIRON_REQUIRE_PEERS is
// set.
package chromium
