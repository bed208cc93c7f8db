{
let d = document, {url, user} = d.currentScript.dataset, s = sessionStorage, on = addEventListener
let q = [], due
s.accrue ||= crypto.getRandomValues(new Uint32Array(4)).join()
let send = () => due = q[0] && void navigator.sendBeacon(url, JSON.stringify(q.splice(0)))
let add = window.accrue = (type, item, more) => {
  q.push({type, item, user, session: s.accrue, ...more})
  due ||= setTimeout(send, 900)
}
let tell = (type, {item, rec, pos}) => add(type, item, rec && {recommendation_id: rec, position: +pos})
let seen = new IntersectionObserver(all => all.map(({isIntersecting, target: t}) =>
  isIntersecting && (seen.unobserve(t), tell("impression", t.dataset))), {threshold: .5})
add.watch = () => d.querySelectorAll("[data-item]").forEach(e => seen.observe(e))
d.readyState == "loading" ? on("DOMContentLoaded", add.watch) : add.watch()
on("click", ({target: t}) => {
  let e = t.closest("[data-item]")
  e && tell(t.closest("[data-cart]") ? "cart" : "click", e.dataset)
})
on("visibilitychange", send)
}
