// What is wider than its box scrolls; let the keyboard scroll it, too.
const boxes = "pre, .table-wrapper, div.math, .output.text_html";
const reach = () => document.querySelectorAll(boxes).forEach((box) => {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});
addEventListener("load", reach);
addEventListener("resize", reach);
addEventListener("toggle", reach, true);
