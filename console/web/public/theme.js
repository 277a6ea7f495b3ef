// Sets the colours and the language before the first paint, so that a light screen does not flash dark. It is a file
// of its own because the page's policy allows no script inside the page.
;(function () {
  var root = document.documentElement
  try {
    var scheme = localStorage.getItem('canh.theme') || 'dark'
    if (scheme === 'auto') {
      scheme = window.matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'
    }
    root.setAttribute('data-mantine-color-scheme', scheme === 'light' ? 'light' : 'dark')
    var language = localStorage.getItem('canh.language')
    if (language === 'en' || language === 'vi') root.lang = language
  } catch {
    // Storage is switched off: the colours of index.html stay.
  }
})()
