// The contents beside the page: shows which study is read, and its parts.
(() => {
  const links = [...document.querySelectorAll(".contents a[href^='#']")];
  const places = new Map(links.map((link) => [document.getElementById(link.hash.slice(1)), link]));
  const mark = () => {
    let here = null;
    for (const [place, link] of places)
      if (place && place.getBoundingClientRect().top < innerHeight / 3) here = link;
    for (const link of links) link.removeAttribute("aria-current");
    document.querySelectorAll(".contents li.here").forEach((item) => item.classList.remove("here"));
    if (!here) return;
    here.setAttribute("aria-current", "true");
    for (let item = here.closest("li"); item; item = item.parentElement.closest("li")) item.classList.add("here");
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();
  // On a wide screen the contents stay open; on a phone they close behind the link that was followed.
  const contents = document.querySelector(".contents > details");
  const wide = matchMedia("(min-width: 64rem)");
  const fit = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
  contents.addEventListener("click", (event) => { if (event.target.closest("a") && !wide.matches) contents.open = false; });
  // A link into something folded opens it.
  const unfold = () => {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let around = place; around; around = around.parentElement) if (around.tagName === "DETAILS") around.open = true;
    if (place) place.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();
})();
