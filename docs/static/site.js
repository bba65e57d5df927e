// Two landmarks of one kind are told apart by their names.
const names = {".sidebar-drawer": "Lessons", ".toc-drawer": "On this page"};
addEventListener("DOMContentLoaded", () => {
  for (const [drawer, name] of Object.entries(names))
    document.querySelector(drawer)?.setAttribute("aria-label", name);
});

// What is wider than its box scrolls; let the keyboard scroll it, too.
const boxes = "pre, .table-wrapper, div.math, .output.text_html";
const reach = () => document.querySelectorAll(boxes).forEach((box) => {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});
addEventListener("load", reach);
addEventListener("resize", reach);
addEventListener("toggle", reach, true);
