# 各页面共用的按钮和小字。

button-sign-in = 登录
button-sign-in-again = 重新登录
button-sign-in-with = 使用 { $name } 登录
wecom-name = { -wecom }
button-copy = 复制链接
button-copied = 已复制
# Below a QR code with the address of this page.
scan = 也可以用手机上的{ -wecom }扫描此二维码。
button-try-again = 重试
button-start = 返回首页
button-sign-out = 退出登录
button-stay = 保持登录
link-password = 使用密码登录
# 页面会在几秒后自动重新加载。
reloads = 此页面会自动重试。
# 页面底部的小字，供管理员排查问题。
support = 供管理员参考
support-code = 代码
support-request = 请求
support-time = 时间
# Between NocoBase's own sign-in form and the buttons below it.
or = 或
# In a strip above an open page of the app with a form that has not been saved.
session-over = 您的登录已失效。已填写的内容仍保留在此页面，重新登录后才能保存。
closed-for-others = 应用正在维护，目前仅管理员可以使用。
# The form with which a member whom no account matches links one by its password, once.
account-about = 您在该应用中已有账号和密码吗？请在此输入一次，以后用{ -wecom }即可直接登录。
account-member = 您在{ -wecom }中的身份：{ $name }
account-name = 用户名或邮箱
account-password = 密码
button-link = 关联账号并登录
