// One chapter at a time, and the contents beside it. Without scripts all chapters stand below each other.
(() => {
  document.documentElement.classList.add("chapters");
  const chapters = [...document.querySelectorAll("main > [id]")];
  const contents = document.querySelector(".contents > details");
  const links = [...contents.querySelectorAll("a[href^='#']")];
  const wide = matchMedia("(min-width: 64rem)");
  let shown = null;
  const target = ({ hash }) => decodeURIComponent(hash.startsWith("#explorer=") ? "explorer" : hash.slice(1));

  const show = (chapter) => {
    shown = chapter;
    for (const one of chapters) one.hidden = one !== chapter;
    for (const link of links) {
      const own = target(link) === chapter.id;
      if (own) link.setAttribute("aria-current", "page");
      const item = link.closest("li");
      if (item.parentElement.parentElement === contents) item.classList.toggle("here", own);
    }
    mark();
  };

  // Which part of the chapter is read.
  const mark = () => {
    const parts = links.filter((link) => link.closest("li li"));
    let here = null;
    for (const link of parts) {
      const place = document.getElementById(target(link));
      if (shown.contains(place) && place.getBoundingClientRect().top < innerHeight / 3) here = link;
    }
    for (const link of links)
      if (target(link) === shown.id) link.setAttribute("aria-current", "page");
      else if (link === here) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
  };

  // A link leads to its chapter, and opens what is folded around its place.
  const follow = () => {
    const place = document.getElementById(target(location)) || chapters[0];
    show(place.closest("main > [id]") || chapters[0]);
    for (let around = place; around; around = around.parentElement) if (around.tagName === "DETAILS") around.open = true;
    if (shown === place) scrollTo(0, 0);
    else place.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();

  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });

  // On a wide screen the contents stay open; on a phone they close behind the link that was followed.
  const fit = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
  addEventListener("beforeprint", () => chapters.forEach((one) => { one.hidden = false; }));
  addEventListener("afterprint", () => show(shown));
})();
