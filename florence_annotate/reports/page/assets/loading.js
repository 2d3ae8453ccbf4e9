// Data beyond one file lies in scripts beside the page: from file:// nothing else can be read.

/**
 * Load scripts one after the other.
 * @param {string[]} urls
 * @param {() => boolean} loaded called after each; whether to go on
 * @param {(url: string) => void} missing called with the one that isn't there, which is the last
 */
function loadInTurn(urls, loaded, missing) {
  const load = (place) => {
    if (place === urls.length) return;
    const script = document.createElement("script");
    script.src = urls[place];
    script.onload = () => {
      script.remove(); // and with it the text
      if (loaded()) setTimeout(load, 0, place + 1); // who scrolls meanwhile goes first
    };
    script.onerror = () => {
      script.remove();
      missing(urls[place]);
    };
    document.body.append(script);
  };
  load(0);
}
