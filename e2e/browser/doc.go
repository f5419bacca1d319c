// Package browser tests that a web page, which is open in a browser on the machine of
// payrelay, reaches none of its listeners. It runs the built program and Chromium.
//
// It is a separate module, so that the library that drives the browser is not a
// dependency of the rest of the project.
package browser
